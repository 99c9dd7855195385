import type { CampaignOptions, EventBus, FencedWriter } from '@thalamus/events';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import { beforeEach, describe, expect, it } from 'vitest';
import { MAX_WAITING_DECISIONS } from './decision-queue.js';
import { RegistryWriter, type Actor, type Change } from './registry-writer.js';

const ACTOR: Actor = { id: 'test', tenant: 'default', action: 'test' };
const change = (name: string): Change[] => [
  { key: `policy/${name}`, value: { case: 'policy', value: { tenant: name } } },
];

let writer: RegistryWriter;
/** Lets the bus take what it has been given, and all that comes after. */
let open: () => void;
beforeEach(async () => {
  const gate = new Promise<void>((resolve) => (open = resolve));
  const log: FencedWriter = {
    append: async () => {
      await gate;
      return [];
    },
  };
  const bus = {
    campaign: async (options: CampaignOptions) => {
      await options.onElected(log, 1n);
      return { leader: () => options.candidate, resign: () => Promise.resolve() };
    },
  };
  const view = {
    revision: 0n,
    get: () => undefined,
    refresh: () => Promise.resolve(),
    requireReadable: () => undefined,
  };
  writer = new RegistryWriter(bus as unknown as EventBus, view as unknown as RegistryView, () => 'here:1');
  await writer.start();
});

describe('changes that wait for a slow bus', () => {
  it('are bounded: one more is refused at once, and taken again when there is room', async () => {
    const waiting = Array.from({ length: MAX_WAITING_DECISIONS }, (_unused, index) =>
      writer.write(ACTOR, () => change(`p${index}`)),
    );
    await expect(writer.write(ACTOR, () => change('more'))).rejects.toMatchObject({
      code: 'EXPERT_OVERLOADED',
      retryAfterMs: 1_000,
    });
    open();
    await Promise.all(waiting);
    expect(await writer.write(ACTOR, () => change('later'))).toHaveLength(1);
  });

  it('are left undone when whoever asked has gone before their turn', async () => {
    const first = writer.write(ACTOR, () => change('first'));
    const caller = new AbortController();
    let decided = false;
    const second = writer.write({ ...ACTOR, signal: caller.signal }, () => {
      decided = true;
      return change('second');
    });
    caller.abort(new ThalamusError('DEADLINE_EXCEEDED', 'Too late.'));
    open();
    await first;
    await expect(second).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(decided).toBe(false);
  });
});
