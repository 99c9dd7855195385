import {
  artifactSettings,
  busSettings,
  count,
  dataSettings,
  defineSettings,
  grpcSettings,
  milliseconds,
  opsSettings,
  setting,
  telemetrySettings,
  updaterAddress,
  type SettingsValues,
} from '@thalamus/config';
import { z } from 'zod';

const share = (value: number) =>
  z.coerce.number('must be a number').gt(0, 'must be above 0').max(1, 'must be at most 1').default(value);
const positive = (value: number) =>
  z.coerce.number('must be a number').gt(0, 'must be above 0').max(1e9).default(value);

/** Settings of the router. */
export const routerSettings = defineSettings({
  ...grpcSettings(7402),
  ...opsSettings(7502),
  ...busSettings(),
  ...telemetrySettings(),
  ...dataSettings('router'),
  ...artifactSettings(),
  ...updaterAddress(),
  threads: setting('THALAMUS_INFERENCE_THREADS', count(1), 'Threads inside one operator of ONNX Runtime.'),
  maxBatch: setting('THALAMUS_MAX_BATCH', count(16), 'Prompts that are encoded at once.'),
  batchDelayMs: setting(
    'THALAMUS_BATCH_DELAY_MS',
    milliseconds(0),
    'How long the first prompt of a batch waits for others, milliseconds.',
  ),
  modelRetryMs: setting(
    'THALAMUS_ROUTER_MODEL_RETRY_MS',
    milliseconds(5_000),
    'Wait before a router model that could not be loaded is tried again, milliseconds.',
  ),
  promptCache: setting(
    'THALAMUS_PROMPT_CACHE',
    z.coerce.number('must be a number').int('must be a whole number').min(0).max(1_000_000).default(2_048),
    'Prompts of each router model whose prediction is kept, for when they come again; 0: none.',
  ),
  correctionPrior: setting(
    'THALAMUS_CORRECTION_PRIOR',
    positive(20),
    'Outcomes that speak for predictions as they are: as many others move one by half of what they say.',
  ),
  correctionBound: setting(
    'THALAMUS_CORRECTION_BOUND',
    share(0.25),
    'Largest correction of a predicted loss, as a share of the range of losses.',
  ),
  correctionHalfLifeMs: setting(
    'THALAMUS_CORRECTION_HALF_LIFE_MS',
    count(86_400_000),
    'Time in which the weight of an outcome halves, milliseconds.',
  ),
  correctionMemory: setting(
    'THALAMUS_CORRECTION_MEMORY',
    count(500),
    'Outcomes of an expert in a region after which an earlier one counts for 1/e.',
  ),
  correctionSweepMs: setting(
    'THALAMUS_CORRECTION_SWEEP_MS',
    count(30_000),
    'How often the elected corrector looks for corrections that have worn off, milliseconds.',
  ),
  driftTolerance: setting(
    'THALAMUS_DRIFT_TOLERANCE',
    share(0.05),
    'Mean of observed above predicted losses that is no drift, as a share of the range of losses.',
  ),
  driftRunLength: setting(
    'THALAMUS_DRIFT_RUN_LENGTH',
    z.coerce.number('must be a number').min(2, 'must be at least 2').max(1e9).default(20_000),
    'Outcomes of an expert to the first false alarm of drift, on average, at the least.',
  ),
  feedbackWindowMs: setting(
    'THALAMUS_FEEDBACK_WINDOW_MS',
    count(3_600_000),
    'How long after a request feedback about it corrects predictions, milliseconds.',
  ),
  feedbackWindow: setting(
    'THALAMUS_FEEDBACK_WINDOW',
    count(50_000),
    'Requests that the elected corrector remembers, for feedback to speak of.',
  ),
  stayMargin: setting(
    'THALAMUS_STAY_MARGIN',
    z.coerce.number('must be a number').min(0, 'must not be negative').max(100).default(0.05),
    'By how much another expert has to be better to take a conversation over, in the loss unit of the router model.',
  ),
  maxQueue: setting(
    'THALAMUS_MAX_QUEUE',
    count(512),
    'Prompts of one tenant that may wait; more are refused.',
  ),
});

/** Values of the settings. */
export type RouterSettings = SettingsValues<typeof routerSettings>;
