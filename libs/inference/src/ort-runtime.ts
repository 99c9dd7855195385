import { ThalamusError } from '@thalamus/errors';
import type { Tensor } from '@thalamus/tensor';
import type * as Ort from 'onnxruntime-node';
import type {
  Feeds,
  InferenceRuntime,
  InferenceSession,
  ModelSource,
  RowTable,
  RunOptions,
  SessionOptions,
  TableColumns,
} from './inference-runtime.port.js';
import { dataTypeOf, fromOrt, toOrt } from './ort-tensors.js';
import { checkRun, sessionGone } from './session-checks.js';
import { TensorTable } from './tensor-table.js';

type OrtSession = Ort.InferenceSession;

/**
 * ONNX Runtime in this process. Its library is loaded with the first model. A run holds the event loop until it ends (onnxruntime-node 1.30 runs on the JavaScript
 * thread), and a native crash ends the process: serve foreign or slow models with ChildProcessRuntime.
 */
export class OrtRuntime implements InferenceRuntime {
  private readonly sessions = new Set<OrtInferenceSession>();
  private closed = false;

  /** Loads the library, so that the first model need not wait for it. */
  async prepare(): Promise<void> {
    await loadLibrary();
  }

  async load(source: ModelSource, options: SessionOptions = {}): Promise<InferenceSession> {
    if (this.closed) throw sessionGone();
    const settings = sessionSettings(options);
    const ort = await loadLibrary();
    try {
      const session =
        'path' in source
          ? await ort.InferenceSession.create(source.path, settings)
          : await ort.InferenceSession.create(source.bytes, settings);
      const opened = new OrtInferenceSession(ort, session, () => this.sessions.delete(opened));
      this.sessions.add(opened);
      return opened;
    } catch (cause) {
      throw new ThalamusError('GRAPH_INVALID', `ONNX Runtime refused the model: ${firstLine(cause)}`, {
        cause,
      });
    }
  }

  createTable(columns: TableColumns): Promise<RowTable> {
    if (this.closed) return Promise.reject(sessionGone());
    return Promise.resolve(new OrtRowTable(columns));
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([...this.sessions].map((session) => session.release()));
  }
}

/**
 * Loads ONNX Runtime without its telemetry: from 1.30 on its library keeps a device id below the home folder and sends usage data
 * to its maker unless this variable is set before it is loaded. Who wants it sets the variable to 0.
 */
function loadLibrary(): Promise<typeof Ort> {
  // eslint-disable-next-line no-restricted-syntax -- a setting of the library, read by nothing of ours
  process.env['ORT_DISABLE_TELEMETRY'] ??= '1';
  return import('onnxruntime-node');
}

function sessionSettings(options: SessionOptions): Ort.InferenceSession.SessionOptions {
  return {
    executionProviders: ['cpu'],
    intraOpNumThreads: options.threads ?? 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: options.optimisation ?? 'all',
    enableCpuMemArena: options.arena ?? true,
    // Faults come back as errors; lines of its own would stand among the structured logs.
    logSeverityLevel: 4,
    // Idle threads must sleep: services share few cores.
    extra: {
      'session.intra_op.allow_spinning': '0',
      // Without rewrites for quantised graphs their weights are unpacked once, when the graph is loaded.
      ...(options.weights === 'expanded' ? { 'session.disable_quant_qdq': '1' } : {}),
      ...options.settings,
    },
  };
}

/** A table in this process: what is set is there until release. */
class OrtRowTable implements RowTable {
  private table: TensorTable | undefined;

  constructor(columns: TableColumns) {
    this.table = new TensorTable(columns);
  }

  async set(row: number, read: () => Promise<Feeds>): Promise<void> {
    const values = await read();
    this.held().set(row, values);
  }

  clear(): void {
    // The memory of the row is used again; nothing points to it until then.
  }

  release(): Promise<void> {
    this.table = undefined;
    return Promise.resolve();
  }

  held(): TensorTable {
    if (!this.table) throw sessionGone();
    return this.table;
  }
}

class OrtInferenceSession implements InferenceSession {
  readonly inputs;
  readonly outputs;
  readonly lanes = 1;
  private released = false;

  constructor(
    private readonly ort: typeof Ort,
    private readonly session: OrtSession,
    private readonly onRelease: () => void,
  ) {
    const described = (values: readonly Ort.InferenceSession.ValueMetadata[]) =>
      values.map((value) => ({
        name: value.name,
        dtype: value.isTensor ? dataTypeOf(value.type) : undefined,
        shape: value.isTensor ? value.shape : undefined,
      }));
    this.inputs = described(session.inputMetadata);
    this.outputs = described(session.outputMetadata);
  }

  async run(feeds: Feeds, options: RunOptions = {}): Promise<Readonly<Record<string, Tensor>>> {
    if (this.released) throw sessionGone();
    const all = { ...feeds };
    for (const table of options.tables ?? []) {
      if (!(table instanceof OrtRowTable)) throw sessionGone();
      Object.assign(all, table.held().tensors());
    }
    checkRun(this.inputs, this.outputs, all, options);
    const given = Object.fromEntries(
      Object.entries(all).map(([name, value]) => [name, toOrt(this.ort, value, name)]),
    );
    try {
      const results = options.outputs
        ? await this.session.run(given, [...options.outputs])
        : await this.session.run(given);
      return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, fromOrt(value)]));
    } catch (cause) {
      throw new ThalamusError('INFERENCE_FAILED', `The model failed to run: ${firstLine(cause)}`, { cause });
    }
  }

  press(): void {
    // This process has one thread for JavaScript, and no second lane.
  }

  async release(): Promise<void> {
    if (this.released) return;
    this.released = true;
    this.onRelease();
    await this.session.release();
  }
}

/** The first line names the operator and the reason; what follows is a native trace. */
function firstLine(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split('\n')[0]?.slice(0, 300) ?? '';
}
