// What must hold of rendered manifests beyond their form: settings, edges, security. Each check returns the faults it found.
import { loadSettings } from '@thalamus/config';
import Ajv from 'ajv';
import { readFileSync } from 'node:fs';
import { callsOf, SERVICES, settingsDefinition } from './services.mjs';

const schemas = JSON.parse(
  readFileSync(new URL('../../helm/schemas/kubernetes.json', import.meta.url), 'utf8'),
);
const ajv = new Ajv({ strict: false, allErrors: true });
ajv.addSchema({ $id: 'kubernetes', definitions: schemas.definitions });

const COMPONENT = 'app.kubernetes.io/component';
const called = (manifest) => `${manifest.kind} ${manifest.metadata?.name}`;
const workloads = (manifests) => manifests.filter(({ kind }) => kind === 'Deployment');
const podSpecs = (manifests) => [
  ...workloads(manifests).map((manifest) => [called(manifest), manifest.spec.template.spec]),
  ...manifests.filter(({ kind }) => kind === 'Pod').map((manifest) => [called(manifest), manifest.spec]),
];

/** Every manifest against the strict schema of its kind; no two of one name. */
export function schemaFaults(manifests) {
  const faults = [];
  const seen = new Set();
  for (const manifest of manifests) {
    const who = called(manifest);
    if (seen.has(who)) faults.push(`${who} is there twice`);
    seen.add(who);
    const name = schemas.kinds[`${manifest.apiVersion}/${manifest.kind}`];
    if (name === undefined) {
      faults.push(`${who}: helm/schemas has no schema for ${manifest.apiVersion} ${manifest.kind}`);
      continue;
    }
    const check = ajv.getSchema(`kubernetes#/definitions/${name}`);
    if (!check(manifest))
      for (const { instancePath, message, params } of check.errors)
        faults.push(`${who}: ${instancePath} ${message} ${JSON.stringify(params)}`);
  }
  return faults;
}

/** The environment of a container as its process gets it. */
export function environmentOf(container) {
  const facts = { POD_IP: '10.0.0.1' };
  const entries = (container.env ?? []).map(({ name, value }) => [
    name,
    value ?? facts[name] ?? 'from elsewhere',
  ]);
  const expand = (text) => text.replaceAll(/\$\((\w+)\)/g, (_, name) => facts[name] ?? '');
  return Object.fromEntries(entries.map(([name, value]) => [name, expand(value)]));
}

/** Every service is there once and takes its environment; its ports are those it is told, and the probes ask them. */
export async function settingsFaults(manifests) {
  const faults = [];
  const found = workloads(manifests).map(({ metadata }) => metadata.labels[COMPONENT]);
  for (const folder of Object.values(SERVICES))
    if (found.filter((name) => name === folder).length !== 1) faults.push(`${folder} has not one Deployment`);
  for (const manifest of workloads(manifests)) {
    const who = called(manifest);
    const [container] = manifest.spec.template.spec.containers;
    const [folder] = container.args;
    const names = container.env.map(({ name }) => name);
    for (const name of new Set(names))
      if (names.filter((other) => other === name).length > 1) faults.push(`${who}: ${name} is set twice`);
    let settings;
    try {
      settings = loadSettings(await settingsDefinition(folder), environmentOf(container));
    } catch (fault) {
      faults.push(`${who} would not start: ${fault.message}`);
      continue;
    }
    const listens = { grpc: settings.grpcPort, http: settings.httpPort, ops: settings.opsPort };
    for (const { name, containerPort } of container.ports)
      if (listens[name] !== containerPort)
        faults.push(`${who}: port ${name} is ${containerPort}, but the service listens on ${listens[name]}`);
    if (settings.host !== '0.0.0.0') faults.push(`${who} listens on ${settings.host}: nobody reaches it`);
    faults.push(...probeFaults(container, settings).map((fault) => `${who}: ${fault}`));
    const graceMs = manifest.spec.template.spec.terminationGracePeriodSeconds * 1000;
    if (settings.drainMs + settings.readinessGraceMs >= graceMs)
      faults.push(`${who} is killed before it has drained`);
    for (const [key, peer] of [
      ['routerAddress', 'router'],
      ['updaterAddress', 'updater'],
    ])
      if (settings[key] !== undefined && !servesAt(manifests, peer, settings[key]))
        faults.push(`${who}: ${key} is ${settings[key]}, which is no headless Service of the ${peer}`);
  }
  return faults;
}

/** A gRPC server is asked whether it is alive; every service answers over HTTP whether it is ready. */
function probeFaults({ startupProbe, livenessProbe, readinessProbe }, { grpcPort }) {
  const alive = grpcPort === undefined ? 'GET /healthz' : `gRPC ${grpcPort}`;
  const asks = (probe) => (probe?.grpc ? `gRPC ${probe.grpc.port}` : `GET ${probe?.httpGet?.path}`);
  return [
    ['startupProbe', startupProbe, alive],
    ['livenessProbe', livenessProbe, alive],
    ['readinessProbe', readinessProbe, 'GET /readyz'],
  ]
    .filter(([, probe, wanted]) => asks(probe) !== wanted)
    .map(([name, probe, wanted]) => `${name} asks ${asks(probe)}, not ${wanted}`);
}

/** Whether host:port is a headless service whose pods are those of the peer. */
function servesAt(manifests, peer, address) {
  const [host, port] = address.split(':');
  const service = manifests.find(({ kind, metadata }) => kind === 'Service' && metadata.name === host);
  return (
    service?.spec.clusterIP === 'None' &&
    service.spec.selector[COMPONENT] === peer &&
    service.spec.ports.some((item) => item.name === 'grpc' && item.port === Number(port))
  );
}

/** Pods are as restricted as the restricted standard asks, and write to their volumes alone. */
export function securityFaults(manifests) {
  const faults = [];
  for (const [who, spec] of podSpecs(manifests)) {
    const wanted = (is, words) => {
      if (!is) faults.push(`${who}: ${words}`);
    };
    wanted(spec.automountServiceAccountToken === false, 'the token of the service account is mounted');
    wanted(
      spec.securityContext?.runAsNonRoot === true && spec.securityContext.runAsUser > 0,
      'it may run as root',
    );
    wanted(spec.securityContext?.seccompProfile?.type === 'RuntimeDefault', 'it has no seccomp profile');
    for (const { securityContext, resources } of spec.containers) {
      wanted(securityContext?.allowPrivilegeEscalation === false, 'it may gain privileges');
      wanted(securityContext?.readOnlyRootFilesystem === true, 'its root file system can be written');
      wanted(securityContext?.capabilities?.drop?.includes('ALL'), 'it keeps capabilities');
      wanted(resources?.requests?.cpu && resources.requests.memory, 'it requests no CPU or memory');
      wanted(resources?.limits?.memory, 'its memory is not limited');
    }
  }
  return faults;
}

/**
 * The edges that network policies allow are those that services use: from each end, and nothing else. `upstreamPorts`: where
 * the values say that remote models are.
 */
export async function edgeFaults(manifests, upstreamPorts = [443]) {
  const policies = new Map(
    manifests
      .filter(({ kind }) => kind === 'NetworkPolicy')
      .map((policy) => [policy.spec.podSelector.matchLabels[COMPONENT], policy.spec]),
  );
  const expected = new Set();
  const faults = [];
  for (const folder of Object.values(SERVICES)) {
    const { services, usesBus, callsUpstreams } = await callsOf(folder);
    for (const peer of services) expected.add(`${folder} → ${peer}`);
    const environment = environmentOf(
      workloads(manifests).find(({ metadata }) => metadata.labels[COMPONENT] === folder).spec.template.spec
        .containers[0],
    );
    const outside = (policies.get(folder)?.egress ?? []).filter(({ to = [] }) => !to.some(isOwnPod));
    const ports = outside.flatMap((rule) => rule.ports.map(({ port }) => Number(port)));
    const needed = [
      53,
      53,
      ...(usesBus
        ? new Set(environment.THALAMUS_KAFKA_BROKERS.split(',').map((broker) => Number(broker.split(':')[1])))
        : []),
      ...(environment.THALAMUS_OTLP_ENDPOINT ? [portOf(environment.THALAMUS_OTLP_ENDPOINT)] : []),
      ...(callsUpstreams ? upstreamPorts : []),
    ];
    if (JSON.stringify(ports.sort()) !== JSON.stringify(needed.sort()))
      faults.push(
        `${folder} may leave the mesh on ports ${ports.join(', ')}, but needs ${needed.join(', ')}`,
      );
  }
  for (const [end, allowed] of [
    ['egress', edges(policies, 'egress')],
    ['ingress', edges(policies, 'ingress')],
  ]) {
    for (const edge of expected)
      if (!allowed.has(edge))
        faults.push(`no NetworkPolicy allows ${edge} (${end}), which the service calls`);
    for (const edge of allowed)
      if (!expected.has(edge)) faults.push(`a NetworkPolicy allows ${edge} (${end}), which nobody calls`);
  }
  return faults;
}

const isOwnPod = (peer) => peer.podSelector?.matchLabels?.[COMPONENT] !== undefined;
const portOf = (url) => Number(new URL(url).port || (url.startsWith('https:') ? 443 : 80));

function edges(policies, end) {
  const found = new Set();
  for (const [folder, spec] of policies)
    for (const rule of spec[end] ?? [])
      for (const peer of ((end === 'egress' ? rule.to : rule.from) ?? []).filter(isOwnPod)) {
        const other = peer.podSelector.matchLabels[COMPONENT];
        if (other === 'test') continue;
        found.add(end === 'egress' ? `${folder} → ${other}` : `${other} → ${folder}`);
      }
  return found;
}
