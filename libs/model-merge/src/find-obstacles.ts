import { CLASSIFICATION, MASKED_LM, type CompositionMethod } from './composition-method.js';
import { derivedLicence, isShareAlike } from './licences.js';
import { unionLabels } from './heads/union-labels.js';

/** What is known of a parent without opening its weights. */
export interface ParentFacts {
  /** name@version */
  readonly id: string;
  readonly kind: string;
  /** Hugging Face task name. */
  readonly task: string;
  /** Digest of the base; empty when it stands alone. */
  readonly baseDigest: string;
  /** Digest of a tokenizer of its own; empty when it uses the base's. */
  readonly tokenizerDigest: string;
  readonly labels: readonly string[];
  /** Whether a text has one of the labels, and not several. */
  readonly hasExclusiveLabels: boolean;
  /** SPDX identifier or expression. */
  readonly licence: string;
  /** Whether its training rows are at hand, which the router is fitted on. */
  readonly hasTrainingRows: boolean;
}

/** What is known of the base that parents stand on. */
export interface BaseFacts {
  readonly id: string;
  readonly digest: string;
  /** Digest of its tokenizer; empty when it has none. */
  readonly tokenizerDigest: string;
  readonly licence: string;
}

/** What an obstacle is about. */
export type ObstacleKind = 'kind' | 'base' | 'task' | 'tokenizer' | 'labels' | 'licence' | 'dataset';

/** A reason why parents cannot be composed. */
export interface Obstacle {
  readonly kind: ObstacleKind;
  /** Parent it concerns, name@version; empty when it concerns all. */
  readonly parent: string;
  /** What is wrong and what to do. */
  readonly description: string;
}

type SayObstacle = (kind: ObstacleKind, description: string) => void;

/** Of masked language models: the kind whose decoder is the word embeddings of the base. */
const TIED_KIND = 'lowrank';
/** Most labels of one expert; the limit of manifests. */
const MAX_LABELS = 4096;

/**
 * Every reason why a method cannot make one expert of these parents; empty when it can. Looks at facts only. The base is
 * that of the first parent; undefined when it is unknown.
 */
export function findObstacles(
  method: CompositionMethod,
  parents: readonly ParentFacts[],
  base: BaseFacts | undefined,
): readonly Obstacle[] {
  return [
    ...parents.flatMap((parent) => obstaclesOf(method, parent, base)),
    ...mixedTasks(method, parents),
    ...licenceConflicts(parents, base),
    ...tooManyLabels(parents),
  ];
}

function obstaclesOf(
  method: CompositionMethod,
  parent: ParentFacts,
  base: BaseFacts | undefined,
): Obstacle[] {
  const found: Obstacle[] = [];
  const say: SayObstacle = (kind, description) => found.push({ kind, parent: parent.id, description });
  if (!method.parentKinds.includes(parent.kind)) {
    say(
      'kind',
      `is of the kind ${parent.kind}; ${method.name} takes ${method.parentKinds.join(' or ')}. Choose another parent.`,
    );
    // All else would be said of something that cannot be a parent.
    return found;
  }
  if (!method.tasks.includes(parent.task)) {
    say(
      'task',
      `serves ${parent.task}; ${method.name} composes experts for ${method.tasks.join(' or ')}. Choose another parent.`,
    );
    return found;
  }
  headObstacles(parent, say);
  if (parent.baseDigest === '')
    say('base', 'names no base that it stands on; all parents need the same one. Choose another parent.');
  else if (base === undefined)
    say('base', `stands on ${parent.baseDigest}, which is not registered; register the base.`);
  else if (parent.baseDigest !== base.digest)
    say(
      'base',
      `stands on ${parent.baseDigest}, the others on ${base.id} (${base.digest}); train it again on that base.`,
    );
  else if (base.tokenizerDigest === '')
    say('tokenizer', `stands on ${base.id}, which has no tokenizer.json; export the base with one.`);
  if (base && parent.tokenizerDigest !== '' && parent.tokenizerDigest !== base.tokenizerDigest)
    say(
      'tokenizer',
      `brings a tokenizer of its own that is not that of ${base.id}; one graph has one tokenizer.`,
    );
  if (!derivedLicence(parent.licence)) say('licence', licenceReason(parent.licence));
  if (!parent.hasTrainingRows)
    say(
      'dataset',
      'cites no training data that is registered, and the router is fitted on that; register the data set of its manifest with the split train.',
    );
  return found;
}

/** What stands in the way of its head: the words of a masked language model, the labels of a classifier. */
function headObstacles({ task, kind, labels, hasExclusiveLabels }: ParentFacts, say: SayObstacle): void {
  if (task === MASKED_LM && kind !== TIED_KIND)
    say(
      'kind',
      `is a masked language model of the kind ${kind}; composed ones are ${TIED_KIND}, whose heads share the word embeddings of the base. Choose another parent.`,
    );
  if (task !== CLASSIFICATION) return;
  if (labels.length < 2) say('labels', 'has fewer than two labels; a classifier needs two.');
  if (!hasExclusiveLabels)
    say(
      'labels',
      'gives a text several labels at once; a composed head answers with one. Choose another parent.',
    );
}

/** Parents of one composition serve one task: that of the first that the method can compose. */
function mixedTasks({ tasks, parentKinds }: CompositionMethod, parents: readonly ParentFacts[]): Obstacle[] {
  const able = parents.filter(({ task, kind }) => tasks.includes(task) && parentKinds.includes(kind));
  const [first] = able;
  return able
    .filter(({ task }) => task !== first?.task)
    .map(({ id, task }) => ({
      kind: 'task',
      parent: id,
      description: `serves ${task}, and ${first?.id ?? ''} serves ${first?.task ?? ''}; a composition has one task, since one graph has one kind of head. Leave one of them out.`,
    }));
}

function licenceConflicts(parents: readonly ParentFacts[], base: BaseFacts | undefined): Obstacle[] {
  const own =
    base && !derivedLicence(base.licence)
      ? [{ kind: 'licence' as const, parent: base.id, description: licenceReason(base.licence) }]
      : [];
  const alike = [
    ...new Set([...parents, ...(base ? [base] : [])].map(({ licence }) => licence).filter(isShareAlike)),
  ].sort();
  if (alike.length < 2) return own;
  return [
    ...own,
    {
      kind: 'licence',
      parent: '',
      description: `${alike.join(' and ')} each demand to be the licence of the result; compose only parents of one of them.`,
    },
  ];
}

function licenceReason(licence: string): string {
  return `is under ${licence || 'no licence'}, which allows no derived work; ask its owner for another licence, or leave it out.`;
}

function tooManyLabels(parents: readonly ParentFacts[]): Obstacle[] {
  const { labels } = unionLabels(parents.map((parent) => parent.labels));
  if (labels.length <= MAX_LABELS) return [];
  return [
    {
      kind: 'labels',
      parent: '',
      description: `together have ${labels.length} labels; one expert has at most ${MAX_LABELS}. Compose fewer.`,
    },
  ];
}
