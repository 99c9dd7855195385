import { toThalamusError } from '@thalamus/errors';
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
        if (!session) throw new Error(`session ${request.session} is not open`);
        const outputs = await session.run(request.feeds, request.outputs ? { outputs: request.outputs } : {});
        return { id, kind: 'ran', outputs };
      }
      case 'release':
        await sessions.get(request.session)?.release();
        sessions.delete(request.session);
        return { id, kind: 'released' };
    }
  } catch (fault) {
    const error = toThalamusError(fault);
    return { id, kind: 'failed', code: error.code, message: error.message };
  }
}
