import { toThalamusError } from '@thalamus/errors';
import { deriveGraph } from '../../application/derive-graph.js';
import type { DerivingReply, DerivingRequest } from './deriving-protocol.js';

/** The process that one graph is derived in: the models that it decodes and encodes end with it. */
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole group: the service decides when this process stops.
process.on('SIGINT', () => undefined);

process.once('message', ({ task }: DerivingRequest) => {
  deriveGraph(task)
    .then(
      (written): DerivingReply => ({ kind: 'written', written }),
      (fault: unknown): DerivingReply => {
        const { code, message, violations } = toThalamusError(fault);
        if (code === 'INTERNAL')
          process.stderr.write(
            `${fault instanceof Error ? (fault.stack ?? fault.message) : String(fault)}\n`,
          );
        return { kind: 'failed', code, message, violations };
      },
    )
    .then((reply) => process.send?.(reply, undefined, undefined, () => process.exit(0)))
    .catch(() => process.exit(1));
});
