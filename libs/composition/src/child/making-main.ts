import { toThalamusError } from '@thalamus/errors';
import { OrtRuntime } from '@thalamus/inference';
import { makeComposition } from '../make-composition.js';
import { probeQuality } from '../probe/probe-quality.js';
import type { MakingReply, MakingRequest } from './making-protocol.js';

/** The process that one composition is made in: ONNX Runtime and the fitting live and end here. */
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole group: whoever started this process decides when it stops.
process.on('SIGINT', () => undefined);

const starter = process.ppid;
/** Who has gone cannot be told: `disconnect` ends this process then, and in the middle of long work its new parent does. */
const say = (reply: MakingReply, sent: () => void = () => undefined) => {
  if (process.ppid !== starter) process.exit(0);
  process.send?.(reply, undefined, undefined, sent);
};

async function answerTo(request: MakingRequest): Promise<MakingReply> {
  const runtime = new OrtRuntime();
  if (request.kind === 'make') {
    const made = await makeComposition(request.task, runtime, (progress) =>
      say({ kind: 'progress', progress }),
    );
    return { kind: 'made', made };
  }
  await probeQuality(request.task, runtime, (estimate) => say({ kind: 'estimate', estimate }));
  return { kind: 'probed' };
}

process.once('message', (request: MakingRequest) => {
  answerTo(request)
    .then(
      (reply) => reply,
      (fault: unknown): MakingReply => {
        const { code, message, violations } = toThalamusError(fault);
        if (code === 'INTERNAL')
          process.stderr.write(
            `${fault instanceof Error ? (fault.stack ?? fault.message) : String(fault)}\n`,
          );
        return { kind: 'failed', code, message, violations };
      },
    )
    .then((reply) => say(reply, () => process.exit(0)))
    .catch(() => process.exit(1));
});
