import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { ChildReply, ChildRequest } from './child-protocol.js';
import type { InferenceSession, RowTable } from './inference-runtime.port.js';
import { OrtRuntime } from './ort-runtime.js';

/** The process that ONNX Runtime lives in: it ends with its parent, and takes nothing else down when it crashes. */
const runtime = new OrtRuntime();
const sessions = new Map<number, InferenceSession>();
const tables = new Map<number, RowTable>();

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
        const { outputs: wanted } = request;
        const outputs = await session.run(request.feeds, {
          tables: request.tables.map(tableOf),
          ...(wanted ? { outputs: wanted } : {}),
        });
        return { id, kind: 'ran', outputs };
      }
      case 'table':
        tables.set(request.table, await runtime.createTable(request.columns));
        return { id, kind: 'kept' };
      case 'row': {
        const { row, values } = request;
        await tableOf(request.table).set(row, () => Promise.resolve(values));
        return { id, kind: 'kept' };
      }
      case 'drop':
        await tables.get(request.table)?.release();
        tables.delete(request.table);
        return { id, kind: 'released' };
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

function tableOf(id: number): RowTable {
  const table = tables.get(id);
  if (!table) throw new ThalamusError('EXPERT_NOT_READY', 'The table is not in the process of the model.');
  return table;
}
