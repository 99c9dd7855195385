import type { MessageInitShape } from '@bufbuild/protobuf';
import { isTask, TASKS, type inference } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { mergeFlags, parseFlags, parseModelName, type Flag } from '@thalamus/routing';
import { isComposition } from './composition-name.js';
import { invalid } from './texts.js';

/** Name of the model that is chosen anew for each text. */
export const AUTO = 'auto';
/** The one task that `auto` answers by this protocol: its outputs are a label and its score. */
const TASK = 'text-classification';

/** Parameters of a request to `auto`. */
const PARAMETERS = {
  /** Task; default text-classification. */
  task: 'task',
  /** Flags, as "size=0.5, latency=high". */
  flags: 'flags',
  /** Microseconds after which the answer is worthless, as Triton has it; the one that is no string. */
  timeout: 'timeout',
} as const;

/** Longest time that `timeout` may give, microseconds: a day. */
const LONGEST_TIMEOUT_US = 86_400_000_000n;

/** What `auto` answers. */
const OUTPUTS = ['label', 'score', 'expert'];

/** What ModelMetadata says of `auto`. */
export const AUTO_METADATA: MessageInitShape<typeof inference.ModelMetadataResponseSchema> = {
  name: AUTO,
  versions: [],
  platform: 'thalamus_router',
  inputs: [{ name: 'text', datatype: 'BYTES', shape: [-1n] }],
  outputs: [
    { name: 'label', datatype: 'BYTES', shape: [-1n] },
    { name: 'score', datatype: 'FP32', shape: [-1n] },
    { name: 'expert', datatype: 'BYTES', shape: [-1n] },
  ],
};

/** True for `auto`, with flags or without. */
export function isAuto(modelName: string): boolean {
  return modelName === AUTO || modelName.startsWith(`${AUTO}:`);
}

/** True for what answers with label, score and expert, whoever it is: `auto` and compositions. */
export function isAnsweredByLabel(modelName: string): boolean {
  return isAuto(modelName) || isComposition(modelName);
}

/** What ModelMetadata says of a composition: it answers as `auto` does. */
export function compositionMetadata(name: string): typeof AUTO_METADATA {
  return { ...AUTO_METADATA, name, platform: 'thalamus_composition' };
}

/** What a request to `auto` or a composition asks besides its texts. @throws REQUEST_INVALID, ROUTER_MODEL_NOT_FOUND, FLAG_INVALID */
export function autoWish(request: inference.ModelInferRequest): {
  readonly model: string;
  readonly flags: readonly Flag[];
  readonly topLabels: number;
  /** Milliseconds from now; Infinity without the parameter `timeout`. */
  readonly timeoutMs: number;
} {
  const isComposed = isComposition(request.modelName);
  const what = isComposed ? 'a composition' : AUTO;
  if (request.modelVersion !== '')
    throw invalid(
      'model_version',
      isComposed
        ? 'must be empty: a composition has no versions; pin its parents, as in compose:a@2+b'
        : 'must be empty: auto has no versions; name the expert to pin one',
    );
  for (const name of Object.keys(request.parameters))
    if (!Object.hasOwn(PARAMETERS, name))
      throw invalid(
        `parameters.${name.slice(0, 64)}`,
        `is unknown to ${what}; known are ${Object.keys(PARAMETERS).join(', ')}`,
      );
  checkOutputs(request, what);
  checkTask(textParameter(request, PARAMETERS.task) ?? TASK, what);
  const flags = parseFlags(textParameter(request, PARAMETERS.flags) ?? '');
  const common = { topLabels: 1, timeoutMs: timeoutOf(request) };
  if (isComposed) return { model: request.modelName, flags, ...common };
  const named = parseModelName(request.modelName);
  if (named.model !== AUTO) throw invalid('model_name', 'must be auto, or auto:size=0.5 with its flags');
  return { model: AUTO, flags: mergeFlags(flags, named.flags), ...common };
}

/** What is wished of outputs is done or refused, never ignored. */
function checkOutputs({ outputs }: inference.ModelInferRequest, what: string): void {
  outputs.forEach(({ name, parameters }, index) => {
    const isRepeated = outputs.findIndex((output) => output.name === name) < index;
    const parameter = Object.keys(parameters)[0];
    const fault = !OUTPUTS.includes(name)
      ? `is unknown to ${what}; there are ${OUTPUTS.join(', ')}`
      : isRepeated
        ? 'is asked for twice'
        : parameter === undefined
          ? undefined
          : `has the parameter ${parameter.slice(0, 64)}, which ${what} does not know`;
    if (fault !== undefined) throw invalid(`outputs.${name.slice(0, 64)}`, fault);
  });
}

function checkTask(task: string, what: string): void {
  if (task === TASK) return;
  if (!isTask(task)) throw invalid(`parameters.${PARAMETERS.task}`, `must be one of ${TASKS.join(', ')}`);
  throw new ThalamusError(
    'ROUTER_MODEL_NOT_FOUND',
    `${what} answers ${TASK} by this protocol, not ${task}; name an expert for that.`,
    { violations: [{ field: `parameters.${PARAMETERS.task}`, description: `must be ${TASK}` }] },
  );
}

function timeoutOf({ parameters }: inference.ModelInferRequest): number {
  const choice = parameters[PARAMETERS.timeout]?.parameterChoice;
  if (choice === undefined) return Infinity;
  const isWhole = choice.case === 'int64Param' || choice.case === 'uint64Param';
  if (isWhole && choice.value >= 1n && choice.value <= LONGEST_TIMEOUT_US) return Number(choice.value) / 1000;
  throw invalid(
    `parameters.${PARAMETERS.timeout}`,
    `must be a whole number of microseconds from 1 to ${LONGEST_TIMEOUT_US}`,
  );
}

function textParameter(request: inference.ModelInferRequest, name: string): string | undefined {
  const choice = request.parameters[name]?.parameterChoice;
  if (choice === undefined) return undefined;
  if (choice.case === 'stringParam') return choice.value;
  throw invalid(`parameters.${name}`, 'must be a string parameter');
}
