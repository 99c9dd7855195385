import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { ChildReply, ChildRequest } from './child-protocol.js';
import type { InferenceSession, RowTable } from './inference-runtime.port.js';
import { OrtRuntime } from './ort-runtime.js';

/** The process that ONNX Runtime lives in: it ends with its parent, and takes nothing else down when it crashes. */
const runtime = new OrtRuntime();
const sessions = new Map<number, InferenceSession>();
const tables = new Map<number, RowTable>();

/** Requests after which copies of a model or of a row are left behind. */
const CHANGES: ReadonlySet<ChildRequest['kind']> = new Set(['load', 'row', 'drop', 'release']);
/** After the last change of many, milliseconds. */
const COLLECT_MS = 1_000;
let collecting: NodeJS.Timeout | undefined;

process.on('message', (request: ChildRequest) => {
  void answer(request).then((reply) => {
    process.send?.(reply);
    if (CHANGES.has(request.kind)) collectGarbage();
  });
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
        // One that is loaded again takes the place of what it was.
        await sessions.get(request.session)?.release();
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
      case 'prepare':
        await runtime.prepare();
        return { id, kind: 'prepared' };
      case 'name':
        process.title = request.name;
        return { id, kind: 'prepared' };
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

/**
 * What changes leave behind, V8 would keep for hours: copies outside of its heap press it little. Young copies go at once, so
 * that those of the next row take their place; the rest when no change follows.
 */
function collectGarbage(): void {
  const collect = globalThis.gc;
  if (!collect) return;
  setImmediate(() => {
    collect({ type: 'minor', execution: 'sync' });
  });
  clearTimeout(collecting);
  collecting = setTimeout(() => {
    collect({ type: 'major', flavor: 'last-resort', execution: 'sync' });
  }, COLLECT_MS).unref();
}
