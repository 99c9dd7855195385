import type { MessageInitShape } from '@bufbuild/protobuf';
import { isTask, TASKS, type inference } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { mergeFlags, parseFlags, parseModelName, type Flag } from '@thalamus/routing';
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

/** What a request to `auto` asks besides its texts. @throws REQUEST_INVALID, ROUTER_MODEL_NOT_FOUND, FLAG_INVALID */
export function autoWish(request: inference.ModelInferRequest): {
  readonly model: string;
  readonly flags: readonly Flag[];
  readonly topLabels: number;
  /** Milliseconds from now; Infinity without the parameter `timeout`. */
  readonly timeoutMs: number;
} {
  if (request.modelVersion !== '')
    throw invalid('model_version', 'must be empty: auto has no versions; name the expert to pin one');
  for (const name of Object.keys(request.parameters))
    if (!Object.hasOwn(PARAMETERS, name))
      throw invalid(
        `parameters.${name.slice(0, 64)}`,
        `is unknown to auto; known are ${Object.keys(PARAMETERS).join(', ')}`,
      );
  checkOutputs(request);
  checkTask(textParameter(request, PARAMETERS.task) ?? TASK);
  const flags = parseFlags(textParameter(request, PARAMETERS.flags) ?? '');
  const named = parseModelName(request.modelName);
  if (named.model !== AUTO) throw invalid('model_name', 'must be auto, or auto:size=0.5 with its flags');
  return { model: AUTO, flags: mergeFlags(flags, named.flags), topLabels: 1, timeoutMs: timeoutOf(request) };
}

/** What is wished of outputs is done or refused, never ignored. */
function checkOutputs({ outputs }: inference.ModelInferRequest): void {
  outputs.forEach(({ name, parameters }, index) => {
    const isRepeated = outputs.findIndex((output) => output.name === name) < index;
    const parameter = Object.keys(parameters)[0];
    const fault = !OUTPUTS.includes(name)
      ? `is unknown to auto; there are ${OUTPUTS.join(', ')}`
      : isRepeated
        ? 'is asked for twice'
        : parameter === undefined
          ? undefined
          : `has the parameter ${parameter.slice(0, 64)}, which auto does not know`;
    if (fault !== undefined) throw invalid(`outputs.${name.slice(0, 64)}`, fault);
  });
}

function checkTask(task: string): void {
  if (task === TASK) return;
  if (!isTask(task)) throw invalid(`parameters.${PARAMETERS.task}`, `must be one of ${TASKS.join(', ')}`);
  throw new ThalamusError(
    'ROUTER_MODEL_NOT_FOUND',
    `auto answers ${TASK} by this protocol, not ${task}; name an expert for that.`,
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
