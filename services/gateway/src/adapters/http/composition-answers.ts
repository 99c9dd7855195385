import { registryV1 } from '@thalamus/contracts';
import type {
  DescribedComposition,
  DescribedParent,
  JudgedComposition,
} from '../../application/describe-compositions.js';
import { meanNormalized, routerAccuracy } from '../../domain/composed-figures.js';
import { isoTime } from './admin-answers.js';

/** A composed version. */
export function compositionJson({ expert, version, record, parents, hidden }: DescribedComposition) {
  return {
    name: expert.name,
    version: version.version,
    task: version.task,
    stable: expert.stable === version.version,
    method: record?.method ?? null,
    recipeDigest: record?.recipeDigest ?? null,
    parents: parents.map(parentJson),
    hidden,
    normalized: meanNormalized(parents),
    routerAccuracy: routerAccuracy(version.evaluation),
    sizeBytes: Number(version.sizeBytes),
    createdAt: isoTime(record?.createdAt ?? version.releasedAt),
    expiresAt: isoTime(expert.expiresAt),
  };
}

/** A composed version with what its bundle says. */
export function judgedCompositionJson(judged: JudgedComposition) {
  const { lineage, report, hidden } = judged;
  const row = compositionJson(judged);
  return {
    object: 'composition',
    ...row,
    method: report?.method ?? row.method,
    normalized: report?.normalized ?? row.normalized,
    routerAccuracy: report?.routerAccuracy ?? row.routerAccuracy,
    seed: lineage?.seed ?? null,
    codeVersion: lineage?.codeVersion ?? null,
    // A recipe names every parent.
    recipe: (hidden === 0 ? lineage?.recipe : undefined) ?? null,
    report: report ?? null,
  };
}

function parentJson({ registered, ...parent }: DescribedParent) {
  const { name, version, n, parentAccuracy, accuracy, parentNats, nats, normalized, routedHere } = parent;
  return {
    name,
    version,
    kind: registered ? registryV1.ExpertKind[registered.kind].toLowerCase() : null,
    sizeBytes: registered ? Number(registered.sizeBytes) : null,
    n,
    parentAccuracy,
    accuracy,
    parentNats,
    nats,
    normalized,
    routedHere,
  };
}
