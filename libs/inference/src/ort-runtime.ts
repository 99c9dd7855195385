import { ThalamusError } from '@thalamus/errors';
import type { Tensor } from '@thalamus/tensor';
import { InferenceSession as OrtSession } from 'onnxruntime-node';
import type {
  Feeds,
  InferenceRuntime,
  InferenceSession,
  ModelSource,
  RunOptions,
  SessionOptions,
} from './inference-runtime.port.js';
import { dataTypeOf, fromOrt, toOrt } from './ort-tensors.js';

/** ONNX Runtime in this process. A native crash ends the process: serve foreign models with ChildProcessRuntime. */
export class OrtRuntime implements InferenceRuntime {
  private readonly sessions = new Set<OrtInferenceSession>();

  async load(source: ModelSource, options: SessionOptions = {}): Promise<InferenceSession> {
    const settings: OrtSession.SessionOptions = {
      executionProviders: ['cpu'],
      intraOpNumThreads: options.threads ?? 1,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      enableCpuMemArena: options.arena ?? true,
      logSeverityLevel: 3,
      // Idle threads must sleep: services share few cores.
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    };
    try {
      const session =
        'path' in source
          ? await OrtSession.create(source.path, settings)
          : await OrtSession.create(source.bytes, settings);
      const opened = new OrtInferenceSession(session, () => this.sessions.delete(opened));
      this.sessions.add(opened);
      return opened;
    } catch (cause) {
      throw new ThalamusError('GRAPH_INVALID', `ONNX Runtime refused the model: ${firstLine(cause)}`, {
        cause,
      });
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.sessions].map((session) => session.release()));
  }
}

class OrtInferenceSession implements InferenceSession {
  readonly inputs;
  readonly outputs;

  constructor(
    private readonly session: OrtSession,
    private readonly onRelease: () => void,
  ) {
    const types = (values: readonly OrtSession.ValueMetadata[]) =>
      values.map((value) => ({
        name: value.name,
        dtype: value.isTensor ? dataTypeOf(value.type) : undefined,
      }));
    this.inputs = types(session.inputMetadata);
    this.outputs = types(session.outputMetadata);
  }

  async run(feeds: Feeds, options: RunOptions = {}): Promise<Readonly<Record<string, Tensor>>> {
    this.check(feeds);
    const given = Object.fromEntries(
      Object.entries(feeds).map(([name, value]) => [name, toOrt(value, name)]),
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

  async release(): Promise<void> {
    this.onRelease();
    await this.session.release();
  }

  private check(feeds: Feeds): void {
    const known = new Map(this.inputs.map((input) => [input.name, input]));
    for (const [name, value] of Object.entries(feeds)) {
      const input = known.get(name);
      if (!input)
        throw new ThalamusError(
          'TENSOR_INVALID',
          `The model has no input ${name}; it has ${[...known.keys()].join(', ')}.`,
        );
      if (input.dtype !== undefined && input.dtype !== value.dtype) {
        throw new ThalamusError(
          'TENSOR_INVALID',
          `Input ${name} must be ${input.dtype}, but ${value.dtype} was given.`,
        );
      }
    }
    for (const name of known.keys())
      if (!(name in feeds)) throw new ThalamusError('TENSOR_INVALID', `Input ${name} is missing.`);
  }
}

function firstLine(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split('\n')[0]?.slice(0, 300) ?? '';
}
