import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import { waitUntil } from '../../wait-until.js';
import type { BusPlace } from './bus-harness.js';

/** What a process is to do on the bus. */
export type ProcessTask =
  | {
      readonly kind: 'consume';
      readonly topic: string;
      readonly group: string;
      /** Time that a handler takes for each record, in milliseconds. */
      readonly handleMs?: number;
    }
  | { readonly kind: 'publish'; readonly topic: string; readonly key: string; readonly count: number }
  | { readonly kind: 'lead'; readonly role: string; readonly candidate: string; readonly topic: string };

/** What a process says. */
export interface ProcessMessage {
  readonly kind: 'ready' | 'begun' | 'handled' | 'published' | 'elected' | 'revoked' | 'appended' | 'refused';
  readonly text?: string;
  readonly code?: string;
  /** Bytes of heap and buffers in use. */
  readonly memoryBytes?: number;
}

const SCRIPT = fileURLToPath(
  new URL('../../../dist/contracts/event-bus/bus-process-main.js', import.meta.url),
);

/** A process of its own on the bus; it can be killed like any process. */
export class BusProcess {
  /** Everything that it has said, in order. */
  readonly said: ProcessMessage[] = [];
  private readonly child: ChildProcess;
  private errors = '';

  constructor(place: BusPlace, task: ProcessTask) {
    const child = spawn(process.execPath, [SCRIPT, JSON.stringify({ place, task })], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.child = child;
    createInterface({ input: child.stdout }).on('line', (line) => {
      // Log lines of the libraries go to the same stream.
      if (line.startsWith('{"said":')) this.said.push((JSON.parse(line) as { said: ProcessMessage }).said);
    });
    child.stderr
      .setEncoding('utf8')
      .on('data', (text: string) => (this.errors = (this.errors + text).slice(-2_000)));
  }

  /** Texts of all messages of a kind. */
  texts(kind: ProcessMessage['kind']): string[] {
    return this.said.filter((message) => message.kind === kind).map(({ text }) => text ?? '');
  }

  /** Waits for the first message of a kind after the first `after` ones of it. */
  until(kind: ProcessMessage['kind'], after = 0): Promise<ProcessMessage> {
    return waitUntil(
      `the process says "${kind}"`,
      () => {
        if (this.child.exitCode !== null) throw new Error(`The process ended:\n${this.errors}`);
        return this.said.filter((message) => message.kind === kind)[after];
      },
      { timeoutMs: 40_000 },
    );
  }

  /** Gives it a line of input. */
  tell(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGTERM'): void {
    this.child.kill(name);
  }

  /** Ends it with SIGKILL: no handler of it runs. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }

  /** Waits until it has ended by itself; its exit code. */
  async ended(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
    return this.child.exitCode;
  }
}
