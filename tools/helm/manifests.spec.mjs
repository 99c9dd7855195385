// The checks of the chart find what they are for: each fault is put into manifests that are right.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { edgeFaults, schemaFaults, securityFaults, settingsFaults } from './manifests.mjs';

const text = readFileSync(
  new URL('../../helm/thalamus/examples/minimal/rendered.yaml', import.meta.url),
  'utf8',
);
const manifests = () =>
  parseAllDocuments(text)
    .map((document) => document.toJS())
    .filter((manifest) => manifest !== null);

const called = (all, kind, name) =>
  all.find((manifest) => manifest.kind === kind && manifest.metadata.name === `thalamus-${name}`);
const podOf = (all, name) => called(all, 'Deployment', name).spec.template.spec;
const containerOf = (all, name) => podOf(all, name).containers[0];
const policyOf = (all, name) => called(all, 'NetworkPolicy', name).spec;
const setEnvironment = (container, name, value) => {
  container.env = container.env.filter((entry) => entry.name !== name);
  if (value !== undefined) container.env.push({ name, value });
};

/** Fault → check, how it is made, words that the check must say. */
const FAULTS = {
  'a field that the server does not know': [
    schemaFaults,
    (all) => (podOf(all, 'router').restartpolicy = 'Always'),
    /Deployment thalamus-router: \/spec\/template\/spec must NOT have additional properties/,
  ],
  'a field of the wrong type': [
    schemaFaults,
    (all) => (called(all, 'Deployment', 'router').spec.replicas = 'two'),
    /Deployment thalamus-router: \/spec\/replicas must be integer/,
  ],
  'a required field left out': [
    schemaFaults,
    (all) => delete called(all, 'Deployment', 'router').spec.selector,
    /must have required property 'selector'/,
  ],
  'a kind without a schema': [
    schemaFaults,
    (all) => (called(all, 'Deployment', 'router').apiVersion = 'apps/v1beta1'),
    /no schema for apps\/v1beta1 Deployment/,
  ],
  'two manifests of one name': [
    schemaFaults,
    (all) => all.push(called(all, 'Service', 'router')),
    /Service thalamus-router is there twice/,
  ],
  'a setting that the service refuses': [
    settingsFaults,
    (all) => setEnvironment(containerOf(all, 'worker'), 'THALAMUS_BUS', 'kafka'),
    /Deployment thalamus-worker would not start: .*\n {2}THALAMUS_BUS: unknown setting/,
  ],
  'a setting with a bad value': [
    settingsFaults,
    (all) => setEnvironment(containerOf(all, 'gateway'), 'THALAMUS_DRAIN_MS', 'long'),
    /thalamus-gateway would not start: .*\n {2}THALAMUS_DRAIN_MS/,
  ],
  'an address left at its default': [
    settingsFaults,
    (all) => setEnvironment(containerOf(all, 'gateway'), 'THALAMUS_UPDATER_ADDRESS', undefined),
    /updaterAddress is 127\.0\.0\.1:7401, which is no headless Service of the updater/,
  ],
  'an address of another service': [
    settingsFaults,
    (all) => setEnvironment(containerOf(all, 'gateway'), 'THALAMUS_ROUTER_ADDRESS', 'thalamus-updater:7401'),
    /routerAddress is thalamus-updater:7401, which is no headless Service of the router/,
  ],
  'a port that nobody listens on': [
    settingsFaults,
    (all) => (containerOf(all, 'router').ports.find(({ name }) => name === 'grpc').containerPort = 7),
    /port grpc is 7, but the service listens on 7402/,
  ],
  'a service left out': [
    settingsFaults,
    (all) => all.splice(all.indexOf(called(all, 'Deployment', 'composer')), 1),
    /composer has not one Deployment/,
  ],
  'a service on loopback': [
    settingsFaults,
    (all) => setEnvironment(containerOf(all, 'router'), 'THALAMUS_HOST', '127.0.0.1'),
    /thalamus-router listens on 127\.0\.0\.1/,
  ],
  'a readiness probe that asks for less': [
    settingsFaults,
    (all) => (containerOf(all, 'router').readinessProbe.httpGet.path = '/healthz'),
    /readinessProbe asks GET \/healthz, not GET \/readyz/,
  ],
  'a pod that is killed in its drain': [
    settingsFaults,
    (all) => (podOf(all, 'gateway').terminationGracePeriodSeconds = 30),
    /thalamus-gateway is killed before it has drained/,
  ],
  'a root file system that can be written': [
    securityFaults,
    (all) => (containerOf(all, 'updater').securityContext.readOnlyRootFilesystem = false),
    /thalamus-updater: its root file system can be written/,
  ],
  'a pod that may be root': [
    securityFaults,
    (all) => (podOf(all, 'updater').securityContext.runAsUser = 0),
    /thalamus-updater: it may run as root/,
  ],
  'a call that no policy allows': [
    edgeFaults,
    (all) => (policyOf(all, 'gateway').egress = policyOf(all, 'gateway').egress.slice(0, -1)),
    /no NetworkPolicy allows gateway → updater \(egress\)/,
  ],
  'a caller that the callee does not let in': [
    edgeFaults,
    (all) => policyOf(all, 'expert-host').ingress.pop(),
    /no NetworkPolicy allows gateway → expert-host \(ingress\)/,
  ],
  'an edge that nobody uses': [
    edgeFaults,
    (all) => policyOf(all, 'worker').egress.push(policyOf(all, 'gateway').egress.at(-2)),
    /a NetworkPolicy allows worker → \S+ \(egress\), which nobody calls/,
  ],
  'a way out that nobody needs': [
    edgeFaults,
    (all) => policyOf(all, 'worker').egress.push({ ports: [{ port: 9092 }] }),
    /worker may leave the mesh on ports 53, 53, 9092, but needs 53, 53/,
  ],
};

describe('the checks of the chart', () => {
  it('find nothing in the example', async () => {
    for (const check of [schemaFaults, settingsFaults, securityFaults, edgeFaults])
      expect(await check(manifests())).toEqual([]);
  });

  it.each(Object.entries(FAULTS))('find %s', async (_, [check, make, says]) => {
    const all = manifests();
    make(all);
    expect((await check(all)).join('\n')).toMatch(says);
  });
});
