import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Supervisor, type Supervised } from './supervisor.js';

class FakeProcess implements Supervised {
  readonly signals: string[] = [];
  readonly exited: Promise<number | string>;
  end: (how: number | string) => void = () => undefined;

  constructor(readonly pid: number) {
    this.exited = new Promise((resolve) => (this.end = resolve));
  }

  stop(): Promise<void> {
    this.signal('SIGTERM');
    return Promise.resolve();
  }

  signal(name: NodeJS.Signals): void {
    this.signals.push(name);
    this.end(name);
  }
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Starts processes of which the n-th is ready unless told otherwise. */
function starts(ready: (index: number) => Promise<void> = () => Promise.resolve()) {
  const made: FakeProcess[] = [];
  const start = () => {
    const process = new FakeProcess(100 + made.length);
    made.push(process);
    return { process, ready: ready(made.length - 1) };
  };
  return { made, start };
}

const settle = () => vi.advanceTimersByTimeAsync(30_000);

describe('Supervisor', () => {
  it('starts a service again that ended, and says so', async () => {
    const said: string[] = [];
    const supervisor = new Supervisor((text) => said.push(text));
    const restarted = vi.fn();
    supervisor.onRestart(restarted);
    const { made, start } = starts();
    await supervisor.run('router', start);
    made[0]?.end('SIGKILL');
    await settle();
    expect(made).toHaveLength(2);
    expect(supervisor.pidOf('router')).toBe(101);
    expect(restarted).toHaveBeenCalledOnce();
    expect(said).toEqual([
      'The service router ended (SIGKILL); starting it again.',
      'The service router is back.',
    ]);
  });

  it('leaves a service alone that ends more than five times within a minute', async () => {
    const said: string[] = [];
    const supervisor = new Supervisor((text) => said.push(text));
    const { made, start } = starts();
    await supervisor.run('router', start);
    for (let round = 0; round < 8; round += 1) {
      made.at(-1)?.end(1);
      await vi.advanceTimersByTimeAsync(5_000);
    }
    expect(made).toHaveLength(6);
    expect(said.at(-1)).toMatch(/more than 5 times within a minute and stays down; its log says why/);
  });

  it('ends one that hangs while it starts again, so that the next try can come', async () => {
    const supervisor = new Supervisor(() => undefined);
    const { made, start } = starts((index) =>
      index === 1 ? Promise.reject(new Error('late')) : Promise.resolve(),
    );
    await supervisor.run('router', start);
    made[0]?.end(1);
    await settle();
    expect(made[1]?.signals).toEqual(['SIGKILL']);
    expect(made).toHaveLength(3);
  });

  it('starts nothing any more once it stops; the gateway ends first, the updater last', async () => {
    const supervisor = new Supervisor(() => undefined);
    const order: string[] = [];
    for (const service of ['updater', 'router', 'gateway'] as const) {
      const process = new FakeProcess(1);
      vi.spyOn(process, 'stop').mockImplementation(() => {
        order.push(service);
        process.end(0);
        return Promise.resolve();
      });
      await supervisor.run(service, () => ({ process, ready: Promise.resolve() }));
    }
    await supervisor.stop(1);
    await settle();
    expect(order).toEqual(['gateway', 'router', 'updater']);
    await expect(supervisor.run('router', starts().start)).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});
