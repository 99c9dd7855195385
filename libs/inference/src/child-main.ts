import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { ChildReply, ChildRequest } from './child-protocol.js';
import type { InferenceSession } from './inference-runtime.port.js';
import { OrtRuntime } from './ort-runtime.js';

/** The process that ONNX Runtime lives in: it ends with its parent, and takes nothing else down when it crashes. */
const runtime = new OrtRuntime();
const sessions = new Map<number, InferenceSession>();

process.on('message', (request: ChildRequest) => {
  void answer(request).then((reply) => process.send?.(reply));
});
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole group: the parent decides when this process stops.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);

async function answer(request: ChildRequest): Promise<ChildReply> {
  const { id } = request;
  try {
    switch (request.kind) {
      case 'load': {
        const session = await runtime.load(request.source, request.options);
        sessions.set(request.session, session);
        return { id, kind: 'loaded', inputs: session.inputs, outputs: session.outputs };
      }
      case 'run': {
        const session = sessions.get(request.session);
        if (!session) throw new ThalamusError('EXPERT_NOT_READY', 'The model is not loaded in its process.');
        const outputs = await session.run(request.feeds, request.outputs ? { outputs: request.outputs } : {});
        return { id, kind: 'ran', outputs };
      }
      case 'release':
        await sessions.get(request.session)?.release();
        sessions.delete(request.session);
        return { id, kind: 'released' };
    }
  } catch (fault) {
    const { code, message, violations } = toThalamusError(fault);
    return { id, kind: 'failed', code, message, violations };
  }
}
