/** Attribute names on spans and metrics: semantic conventions first, then our own under `thalamus.`. */
export const ATTRIBUTES = {
  /** Code of the error table; absent on success. */
  errorType: 'error.type',
  /** Always `grpc`. */
  rpcSystem: 'rpc.system.name',
  /** Full name of the method, `package.Service/Method`. */
  rpcMethod: 'rpc.method',
  /** Name of the gRPC status. */
  rpcStatus: 'rpc.response.status_code',
  /** HTTP method. */
  httpMethod: 'http.request.method',
  /** Pattern of the route; never the path itself. */
  httpRoute: 'http.route',
  /** HTTP status; 499 when the client went away. */
  httpStatus: 'http.response.status_code',
  /** `kafka` or the embedded log. */
  messagingSystem: 'messaging.system',
  /** Topic. */
  messagingDestination: 'messaging.destination.name',
  /** `send` or `process`. */
  messagingOperationType: 'messaging.operation.type',
  /** Partition, on spans only. */
  messagingPartition: 'messaging.destination.partition.id',
  /** Offset, on spans only. */
  messagingOffset: 'messaging.kafka.offset',
  /** Consumer group. */
  messagingGroup: 'messaging.consumer.group.name',
  /** Records of one send. */
  messagingBatchCount: 'messaging.batch.message_count',
  /** How it ended: `OK`, an error code, or the outcome of a record. */
  outcome: 'thalamus.outcome',
  /** Part of the work. */
  stage: 'thalamus.stage',
  /** Task of the request. */
  task: 'thalamus.task',
  /** Registered name of the expert. */
  expertName: 'thalamus.expert.name',
  /** `own` for bytes of one expert, `shared` for those of a base. */
  memoryKind: 'thalamus.memory.kind',
  /** Predicted loss of the chosen expert, on spans only. */
  predictedLoss: 'thalamus.predicted_loss',
  /** Experts that were considered, those that filters rejected included, on spans only. */
  candidates: 'thalamus.candidates',
  /** Whether no expert was chosen. */
  abstained: 'thalamus.abstained',
  /** Why the expert was chosen. */
  reason: 'thalamus.reason',
  /** Id of the request, on spans only. */
  requestId: 'thalamus.request.id',
  /** Kind of job. */
  jobKind: 'thalamus.job.kind',
  /** State of a job: `QUEUED` or `RUNNING`. */
  jobState: 'thalamus.job.state',
  /** How an expert is trained, such as `lora`. */
  trainingMethod: 'thalamus.training.method',
  /** State of a release, such as `CANARY`. */
  releaseState: 'thalamus.release.state',
  /** How experts are composed, such as `twin`. */
  mergeMethod: 'thalamus.merge.method',
} as const;

/** What a metric counts. Prometheus names follow: dots become `_`, `s` adds `_seconds`, `By` adds `_bytes`, `USD` adds `_usd`, counters `_total`. */
export interface MetricDefinition<K extends MetricKind = MetricKind> {
  /** Name in OpenTelemetry. */
  readonly name: string;
  readonly kind: K;
  /** Unit in UCUM: `s`, `By`, or `1` for counts; `USD` for money. */
  readonly unit: 's' | 'By' | '1' | 'USD';
  /** One sentence for HELP and the reference page. */
  readonly description: string;
  /** Attributes it is split by; none of them is chosen freely by a caller. */
  readonly attributes: readonly (keyof typeof ATTRIBUTES)[];
  /** Upper bounds of the buckets of a histogram. */
  readonly boundaries?: readonly number[];
}

/** Kinds of metric. */
export type MetricKind = 'counter' | 'gauge' | 'histogram';

type Attribute = keyof typeof ATTRIBUTES;

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

const counter = (
  name: string,
  description: string,
  attributes: readonly Attribute[] = [],
  unit: '1' | 'USD' = '1',
): MetricDefinition<'counter'> => ({ name, kind: 'counter', unit, description, attributes });

const duration = (
  name: string,
  description: string,
  attributes: readonly Attribute[] = [],
): MetricDefinition<'histogram'> => ({
  name,
  kind: 'histogram',
  unit: 's',
  description,
  attributes,
  boundaries: SECONDS,
});

const gauge = (
  name: string,
  unit: 's' | 'By' | '1',
  description: string,
  attributes: readonly Attribute[] = [],
): MetricDefinition<'gauge'> => ({ name, kind: 'gauge', unit, description, attributes });

/** Errors from 0 to 1, and nats beyond. */
const loss = (name: string, description: string): MetricDefinition<'histogram'> => ({
  name,
  kind: 'histogram',
  unit: '1',
  description,
  attributes: ['task'],
  boundaries: [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6],
});

/** Every metric of the mesh. */
export const METRICS = {
  rpcServerDuration: duration('rpc.server.call.duration', 'Duration of served gRPC calls.', [
    'rpcMethod',
    'rpcStatus',
  ]),
  rpcClientDuration: duration('rpc.client.call.duration', 'Duration of gRPC calls made.', [
    'rpcMethod',
    'rpcStatus',
  ]),
  httpServerDuration: duration('http.server.request.duration', 'Duration of HTTP requests.', [
    'httpMethod',
    'httpRoute',
    'httpStatus',
    'errorType',
  ]),
  messagesSent: counter('messaging.client.sent.messages', 'Records published.', ['messagingDestination']),
  messagesConsumed: counter('messaging.client.consumed.messages', 'Records handled, by outcome.', [
    'messagingDestination',
    'outcome',
  ]),
  processDuration: duration('messaging.process.duration', 'Duration of one handling of a record.', [
    'messagingDestination',
  ]),
  deadLetters: counter(
    'thalamus.events.dead_letters',
    'Records given up and written to a dead-letter topic.',
    ['messagingDestination', 'errorType'],
  ),
  spoolRecords: gauge('thalamus.events.spool.records', '1', 'Records that wait for the bus.'),
  spoolDropped: counter('thalamus.events.spool.dropped', 'Records dropped because the queue was full.'),
  decisions: counter(
    'thalamus.router.decisions',
    'Routing decisions, by task, chosen expert and outcome: `routed`, `out_of_scope` (no expert is known to fit) or `abstained` (none passed the filters).',
    ['task', 'outcome', 'expertName'],
  ),
  decisionDuration: duration('thalamus.router.decision.duration', 'Duration of a routing decision.', [
    'task',
  ]),
  promptCache: counter(
    'thalamus.router.prompt_cache',
    'Prompts that were looked up among those predicted before, by outcome: hit or miss.',
    ['outcome'],
  ),
  routeOutcomes: counter(
    'thalamus.router.outcomes',
    'Feedback that the elected corrector has read, by what became of it: `folded` into corrections, or why not.',
    ['outcome'],
  ),
  corrections: gauge(
    'thalamus.router.corrections',
    '1',
    'Experts and regions whose predictions this replica corrects.',
  ),
  driftAlarms: counter(
    'thalamus.router.drift.alarms',
    'How often an expert was found to do worse than predicted.',
    ['expertName'],
  ),
  predictedLoss: loss(
    'thalamus.router.loss.predicted',
    'Losses that were predicted for answers which feedback was given on, in the loss unit of the task.',
  ),
  observedLoss: loss(
    'thalamus.router.loss.observed',
    'Losses of the same answers, as the feedback says: further from the predicted ones than chance allows, a router is not calibrated.',
  ),
  requests: counter('thalamus.gateway.requests', 'Requests that ended, by operation and outcome.', [
    'stage',
    'expertName',
    'outcome',
  ]),
  compositions: counter(
    'thalamus.gateway.compositions',
    'Requests for compositions, by outcome: it answered because it was `found` or `built`, or its parents did for it was `building`, `busy`, `full`, `unavailable`, `failed` or `loading`.',
    ['outcome'],
  ),
  mirrored: counter(
    'thalamus.gateway.mirrored',
    'Requests that the candidate of a release was to answer as well, by outcome: it `agreed` or `differed`, the code of its error, or they were dropped because of the `pace`, because the queue was `full`, the gateway or host `busy`, the candidate `cold`, or the release `over`.',
    ['expertName', 'outcome'],
  ),
  mirrorQueue: gauge(
    'thalamus.gateway.mirror.queue',
    '1',
    'Answered requests that wait for the candidate of a release.',
  ),
  candidateFailures: counter(
    'thalamus.gateway.candidate.failures',
    'Requests that the candidate of a release failed, so that the stable version was asked, by code of the error.',
    ['expertName', 'outcome'],
  ),
  chatCost: counter(
    'thalamus.chat.cost',
    'What the tokens of chat answers cost, by the prices that are registered.',
    ['expertName'],
    'USD',
  ),
  batchSize: {
    name: 'thalamus.host.batch.size',
    kind: 'histogram',
    unit: '1',
    description: 'Texts in a batch.',
    attributes: [],
    boundaries: [1, 2, 4, 8, 16, 32, 64],
  },
  queueDuration: duration(
    'thalamus.host.queue.duration',
    'How long a text waited for its batch, or a request of a graph of tensors for its run.',
  ),
  queueDepth: gauge(
    'thalamus.host.queue.depth',
    '1',
    'Texts, and requests of graphs of tensors, that wait for their run.',
  ),
  inferences: counter('thalamus.host.inferences', 'Requests that were inferred, by outcome.', [
    'expertName',
    'outcome',
  ]),
  residentBytes: gauge(
    'thalamus.host.resident.size',
    'By',
    'Bytes accounted to loaded experts: `own` is what each has for itself, `shared` the bases that they stand on.',
    ['memoryKind'],
  ),
  residentLimit: gauge('thalamus.host.resident.limit', 'By', 'Bytes that loaded experts may take.'),
  evictions: counter('thalamus.host.evictions', 'How often an expert was let go to make room for another.'),
  residencyMisses: counter(
    'thalamus.host.residency.misses',
    'Requests that had to wait until their expert was loaded.',
  ),
  loadDuration: duration(
    'thalamus.host.load.duration',
    'How long an expert took to be loaded, the room that was made for it included.',
    ['outcome'],
  ),
  loadsWaiting: gauge('thalamus.host.load.waiting', '1', 'Requests that wait for experts to be loaded.'),
  childRestarts: counter('thalamus.host.child.restarts', 'How often an inference process ended unasked.'),
  childRecycles: counter(
    'thalamus.host.child.recycles',
    'How often an inference process was exchanged because of memory that it kept.',
  ),
  registryRevision: gauge(
    'thalamus.registry.revision',
    '1',
    'Newest registry revision this process has seen.',
  ),
  registryWrites: counter('thalamus.registry.writes', 'Changes of the registry.'),
  releasesLive: gauge(
    'thalamus.releases.live',
    '1',
    'Releases that may still change what callers get, as the elected updater sees them.',
    ['releaseState'],
  ),
  releaseWeight: gauge(
    'thalamus.releases.weight',
    '1',
    'Share of the callers of an expert who get the candidate of its live release, 0 to 1, as the elected updater sees it.',
    ['expertName'],
  ),
  releaseTransitions: counter(
    'thalamus.releases.transitions',
    'States that releases came to, by who moved them: the `gate`, or a `person`.',
    ['releaseState', 'reason'],
  ),
  releaseEvidence: counter(
    'thalamus.releases.evidence',
    'Events that the elected updater read for live releases: `taken`, `passed` (of another release, or of none) or `invalid`.',
    ['messagingDestination', 'outcome'],
  ),
  releaseProbes: counter(
    'thalamus.releases.probes',
    'Labelled probes of live releases: answered by both versions and `kept` (right as before), `lost` (right before, wrong now), `gained` or `wrong` (as before); `later` (one of them could not be asked) or `dropped` (it could not be asked too often).',
    ['expertName', 'outcome'],
  ),
  releaseReactionDuration: duration(
    'thalamus.releases.reaction.duration',
    'Time from a limit of a release found broken to its roll-back standing in the registry.',
  ),
  compositionRuns: counter(
    'thalamus.composer.runs',
    'Recipes that were run, by outcome: `made`, `found` (it had been made before), `tried` (made, but not to be registered), or the code of the error.',
    ['outcome'],
  ),
  compositionDuration: {
    name: 'thalamus.composer.duration',
    kind: 'histogram',
    unit: 's',
    description: 'How long compositions took to be made, without the time that they waited for their turn.',
    attributes: ['mergeMethod'],
    boundaries: [5, 15, 30, 60, 120, 300, 600, 1_800, 3_600],
  },
  compositionWorstLoss: {
    name: 'thalamus.composer.worst.loss',
    kind: 'histogram',
    unit: '1',
    description:
      'Share of right answers, or of the normalised score of masked language models, that a composition loses at the task that it does worst at, against the parent alone; 0 where it loses none.',
    attributes: ['mergeMethod'],
    boundaries: [0, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2],
  },
  jobs: counter('thalamus.jobs', 'Jobs that ended, by kind and outcome.', ['jobKind', 'outcome']),
  jobsOpen: gauge('thalamus.jobs.open', '1', 'Jobs that wait or run, as the elected updater sees them.', [
    'jobKind',
    'jobState',
  ]),
  jobDuration: {
    name: 'thalamus.jobs.duration',
    kind: 'histogram',
    unit: 's',
    description: 'How long a worker held a job, by how that ended; QUEUED: it was given back.',
    attributes: ['jobKind', 'outcome'],
    boundaries: [1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400],
  },
  jobRemaining: gauge(
    'thalamus.jobs.remaining',
    's',
    'Estimated time to the end of the job that a worker holds.',
    ['jobKind'],
  ),
  trainingTokens: counter(
    'thalamus.training.tokens',
    'Tokens that the steps of training have learned from, padding left out.',
    ['trainingMethod'],
  ),
  trainingStepDuration: duration(
    'thalamus.training.step.duration',
    'Duration of one step of training: forward, backward and the update; neither validations nor checkpoints.',
    ['trainingMethod'],
  ),
  trainingValidationLoss: gauge(
    'thalamus.training.validation.loss',
    '1',
    'Loss at the last validation of the training that a worker ran last, in nats.',
    ['trainingMethod'],
  ),
  trainingCheckpointAge: gauge(
    'thalamus.training.checkpoint.age',
    's',
    'Time since the training that a worker runs was last stored, or began: what is lost when the worker dies. 0: none runs.',
    ['trainingMethod'],
  ),
  eventLoopDelay: gauge(
    'thalamus.process.event_loop.delay',
    's',
    'Event-loop delay since the last scrape, 99th percentile.',
  ),
  residentMemory: gauge('process.memory.usage', 'By', 'Resident memory of the process.'),
} as const satisfies Record<string, MetricDefinition>;
