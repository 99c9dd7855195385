import { ThalamusError } from '@thalamus/errors';
import type { ServiceName, ServiceProcess } from './service-process.js';

/** What the supervisor needs of a process. */
export type Supervised = Pick<ServiceProcess, 'pid' | 'exited' | 'stop' | 'signal'>;

interface Watched {
  process: Supervised;
  restarts: number[];
}

type Start = () => { process: Supervised; ready: Promise<void> };

/** Restarts within this time are counted. */
const WINDOW_MS = 60_000;
/** After so many of them a service is left alone. */
const MAX_RESTARTS = 5;

/** Hears what happens to services, in a sentence. */
export type Report = (text: string) => void;

/** Keeps services running: one that ends is started again, with growing pauses and a limit. */
export class Supervisor {
  private readonly watched = new Map<ServiceName, Watched>();
  private stopping = false;
  private listener: () => void = () => undefined;

  constructor(private readonly report: Report) {}

  /** Starts a service and waits until it is ready. From then on it is kept running. @throws what keeps it from starting */
  async run(service: ServiceName, start: Start): Promise<void> {
    if (this.stopping) throw new ThalamusError('CANCELLED', 'The mesh is stopping.');
    const { process: first, ready } = start();
    this.watched.set(service, { process: first, restarts: [] });
    await ready;
    void this.watch(service, start);
  }

  pidOf(service: ServiceName): number {
    return this.watched.get(service)?.process.pid ?? 0;
  }

  /** Called after a service has been started again. */
  onRestart(listener: () => void): void {
    this.listener = listener;
  }

  /** Ends all: the front door first, then what stands behind it, the updater last. */
  async stop(deadlineMs: number): Promise<void> {
    this.stopping = true;
    const byName = (name: ServiceName) => this.watched.get(name)?.process;
    await byName('gateway')?.stop(deadlineMs);
    const middle = [...this.watched].filter(([name]) => name !== 'gateway' && name !== 'updater');
    await Promise.all(middle.map(([, { process }]) => process.stop(deadlineMs)));
    await byName('updater')?.stop(deadlineMs);
  }

  /** Ends all at once. */
  kill(): void {
    this.stopping = true;
    for (const { process } of this.watched.values()) process.signal('SIGKILL');
  }

  private async watch(service: ServiceName, start: Start): Promise<void> {
    for (;;) {
      const watched = this.watched.get(service);
      if (!watched) return;
      const how = await watched.process.exited;
      if (this.stopping) return;
      const now = Date.now();
      watched.restarts = [...watched.restarts.filter((at) => now - at < WINDOW_MS), now];
      const count = watched.restarts.length;
      if (count > MAX_RESTARTS) {
        this.report(
          `The service ${service} ended (${how}) more than ${MAX_RESTARTS} times within a minute and stays down; its log says why. Stop the mesh and start it again.`,
        );
        return;
      }
      this.report(`The service ${service} ended (${how}); starting it again.`);
      await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** (count - 1)));
      if (this.isStopping()) return;
      const { process: next, ready } = start();
      watched.process = next;
      await ready.then(
        () => {
          this.report(`The service ${service} is back.`);
          this.listener();
        },
        // One that hangs is ended, so that the loop sees its end; one that has ended is past that.
        () => {
          next.signal('SIGKILL');
        },
      );
    }
  }

  private isStopping(): boolean {
    return this.stopping;
  }
}
