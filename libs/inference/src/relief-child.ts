import type { ChildReply, ChildRequestBody, ReplyOf } from './child-protocol.js';
import { InferenceChild, type ChildOptions } from './inference-child.js';
import type { Feeds } from './inference-runtime.port.js';
import { LOAD_TIMEOUT_MS, type OpenModels } from './open-models.js';

type RowReader = () => Promise<Feeds>;

/** A further child with everything that is open: it is given what changes, and answers once it has all of it. */
export class ReliefChild {
  private readonly child: InferenceChild;
  private readonly sessions = new Set<number>();
  /** Rows that it holds, by table. */
  private readonly tables = new Map<number, Map<number, RowReader>>();
  private revision = -1;
  private syncing = false;
  private lastRunAt = 0;

  /** `onEnd` is told once, also when it could not be given something. */
  constructor(
    private readonly open: OpenModels,
    options: ChildOptions,
    onEnd: (reason: string) => void,
  ) {
    this.child = new InferenceChild(onEnd, options);
    this.sync();
  }

  /** Process id; undefined when it could not be started. */
  get pid(): number | undefined {
    return this.child.pid;
  }

  get residentBytes(): number | undefined {
    return this.child.residentBytes;
  }

  /** Calls that have no answer yet. */
  get inFlight(): number {
    return this.child.inFlight;
  }

  /** How long ago it was last asked to run something, or could first have been, milliseconds; 0 while it is given what is open. */
  get idleMs(): number {
    return this.syncing ? 0 : performance.now() - this.lastRunAt;
  }

  /** Whether it has all that is open, as it is now. */
  get isComplete(): boolean {
    return this.revision === this.open.revision;
  }

  /** Gives it what has changed, if anything has. One that cannot take it is ended. */
  sync(): void {
    if (this.syncing || this.isComplete) return;
    this.syncing = true;
    this.giveAll()
      .catch(() => this.child.stop(0))
      .finally(() => {
        this.syncing = false;
        this.lastRunAt = performance.now();
      });
  }

  /** Runs something. @throws as InferenceChild */
  run(body: Extract<ChildRequestBody, { kind: 'run' }>, timeoutMs: number): Promise<ReplyOf<'ran'>> {
    this.lastRunAt = performance.now();
    return this.child.ask('ran', body, timeoutMs);
  }

  /** Ends it, after what it runs for as long as that may take. */
  stop(graceMs: number): Promise<void> {
    return this.child.stop(graceMs);
  }

  /** What is open may change meanwhile: then all is looked at once more. */
  private async giveAll(): Promise<void> {
    while (!this.isComplete) {
      const { revision } = this.open;
      await this.giveSessions();
      await this.giveTables();
      this.revision = revision;
    }
  }

  private async giveSessions(): Promise<void> {
    for (const session of this.open.sessions.values()) {
      if (this.sessions.has(session.id)) continue;
      await this.open.load(this.child, session);
      this.sessions.add(session.id);
    }
    for (const id of this.sessions) {
      if (this.open.sessions.has(id)) continue;
      this.sessions.delete(id);
      await this.give('released', { kind: 'release', session: id });
    }
  }

  private async giveTables(): Promise<void> {
    const open = [...this.open.tables.values()];
    for (const { id, columns, rows } of open) {
      let held = this.tables.get(id);
      if (!held) {
        await this.give('kept', { kind: 'table', table: id, columns });
        this.tables.set(id, (held = new Map<number, RowReader>()));
      }
      for (const [row, read] of [...rows]) {
        if (held.get(row) === read) continue;
        const values = await read();
        await this.give('kept', { kind: 'row', table: id, row, values });
        held.set(row, read);
      }
    }
    for (const id of this.tables.keys()) {
      if (open.some((table) => table.id === id)) continue;
      this.tables.delete(id);
      await this.give('released', { kind: 'drop', table: id });
    }
  }

  private give<K extends ChildReply['kind']>(kind: K, body: ChildRequestBody): Promise<ReplyOf<K>> {
    return this.child.ask(kind, body, LOAD_TIMEOUT_MS);
  }
}
