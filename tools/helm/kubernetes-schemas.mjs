// Cuts strict schemas for the kinds that the chart renders out of the OpenAPI document of a Kubernetes API server:
//   node tools/helm/kubernetes-schemas.mjs VERSION swagger.json CRD_DIR ARGO_CRD_DIR
// swagger.json: api/openapi-spec of the Go module k8s.io/kubernetes, which is what its server answers to GET /openapi/v2;
// CRD_DIR: example/prometheus-operator-crd of the Go module github.com/prometheus-operator/prometheus-operator;
// ARGO_CRD_DIR: manifests/crds of the Go module github.com/argoproj/argo-rollouts.
// Strict: an unknown field is an error, as it is for a server asked to validate strictly.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const KINDS = [
  ['v1', 'Service'],
  ['v1', 'ServiceAccount'],
  ['v1', 'ConfigMap'],
  ['v1', 'Secret'],
  ['v1', 'Pod'],
  ['v1', 'PersistentVolumeClaim'],
  ['apps/v1', 'Deployment'],
  ['apps/v1', 'StatefulSet'],
  ['autoscaling/v2', 'HorizontalPodAutoscaler'],
  ['batch/v1', 'Job'],
  ['networking.k8s.io/v1', 'Ingress'],
  ['networking.k8s.io/v1', 'NetworkPolicy'],
  ['policy/v1', 'PodDisruptionBudget'],
];
const [version, file, crdFolder, argoFolder] = process.argv.slice(2);
if (argoFolder === undefined) {
  console.error('Usage: node tools/helm/kubernetes-schemas.mjs VERSION swagger.json CRD_DIR ARGO_CRD_DIR');
  process.exit(2);
}
const CUSTOM = [
  join(crdFolder, 'monitoring.coreos.com_servicemonitors.yaml'),
  join(crdFolder, 'monitoring.coreos.com_prometheusrules.yaml'),
  join(argoFolder, 'analysis-template-crd.yaml'),
];
const document = JSON.parse(readFileSync(file, 'utf8'));
const kept = {};
const kinds = {};
for (const [apiVersion, kind] of KINDS) {
  const [group, groupVersion] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
  const name = Object.entries(document.definitions).find(([, definition]) =>
    (definition['x-kubernetes-group-version-kind'] ?? []).some(
      (item) => item.group === group && item.version === groupVersion && item.kind === kind,
    ),
  )?.[0];
  if (name === undefined) throw new Error(`${apiVersion} ${kind} is not in ${file}`);
  kinds[`${apiVersion}/${kind}`] = name;
  keep(name);
}
for (const path of CUSTOM) {
  const crd = parse(readFileSync(path, 'utf8'));
  const { group, names, versions } = crd.spec;
  const [served] = versions;
  kinds[`${group}/${served.name}/${names.kind}`] = names.kind;
  kept[names.kind] = closed({ ...lean(served.schema.openAPIV3Schema) });
  kept[names.kind].properties.metadata = {
    $ref: '#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta',
  };
}
// It repeats the whole of a Job, which is there already.
const { metrics } = kept.AnalysisTemplate.properties.spec.properties;
metrics.items.properties.provider.properties.job.properties.spec = {
  $ref: '#/definitions/io.k8s.api.batch.v1.JobSpec',
};
const out = {
  version,
  kinds,
  definitions: Object.fromEntries(Object.entries(kept).sort(([a], [b]) => (a < b ? -1 : 1))),
};
const target = fileURLToPath(new URL('../../helm/schemas/kubernetes.json', import.meta.url));
writeFileSync(target, `${JSON.stringify(out)}\n`);
console.log(`${target}: ${Object.keys(kept).length} definitions of Kubernetes ${version}`);

function keep(name) {
  if (kept[name] !== undefined) return;
  kept[name] = {};
  kept[name] = strict(name, document.definitions[name]);
}

function strict(name, definition) {
  if (name.endsWith('.IntOrString')) return { type: ['string', 'integer'] };
  if (name.endsWith('.Quantity'))
    return { type: ['string', 'number'], pattern: '^[+-]?[0-9.]+([eE][+-]?[0-9]+|[numkMGTPE]i?)?$' };
  const schema = lean(definition);
  if (schema.properties !== undefined && schema.additionalProperties === undefined)
    schema.additionalProperties = false;
  return schema;
}

/** An object schema of a custom resource, with every level closed. */
function closed(schema) {
  if (typeof schema !== 'object' || schema === null) return schema;
  if (Array.isArray(schema)) return schema.map(closed);
  const result = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  if (result.type === 'object' && result.properties !== undefined) result.additionalProperties ??= false;
  return result;
}

/** Without words and extensions; references are followed. */
function lean(node) {
  if (Array.isArray(node)) return node.map(lean);
  if (typeof node !== 'object' || node === null) return node;
  const result = {};
  for (const [key, value] of Object.entries(node)) {
    if (key === '$ref') {
      keep(value.slice('#/definitions/'.length));
      result.$ref = value;
    } else if (key === 'properties') {
      result.properties = Object.fromEntries(Object.entries(value).map(([name, item]) => [name, lean(item)]));
    } else if (key === 'pattern') {
      result.pattern = everywhere(value);
    } else if (!key.startsWith('x-') && key !== 'description' && key !== 'default' && key !== 'format') {
      result[key] = lean(value);
    }
  }
  return result;
}

/** A pattern of Go in words of JavaScript, which has no flag for a part of a pattern. */
function everywhere(pattern) {
  const [, start, rest] = /^(\^?)\(\?i\)(.*)$/.exec(pattern) ?? [];
  if (rest === undefined) return pattern;
  const either = rest.replaceAll(/[a-z]/gi, (letter) => `[${letter.toLowerCase()}${letter.toUpperCase()}]`);
  return `${start}${either}`;
}
