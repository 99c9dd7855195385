import type { Campaign, EventBus, FencedWriter } from '@thalamus/events';
import { expect, it } from 'vitest';
import { waitUntil } from '../../wait-until.js';
import { textOf, textRecord, unique, type BusHarness } from './bus-harness.js';

class Candidate {
  writer: FencedWriter | undefined;
  last: FencedWriter | undefined;
  readonly terms: bigint[] = [];
  campaign: Campaign | undefined;

  constructor(readonly name: string) {}

  async run(
    bus: EventBus,
    role: string,
    prepare: () => Promise<void> = () => Promise.resolve(),
  ): Promise<this> {
    this.campaign = await bus.campaign({
      role,
      candidate: this.name,
      onElected: async (writer, term) => {
        await prepare();
        this.writer = this.last = writer;
        this.terms.push(term);
      },
      onRevoked: () => (this.writer = undefined),
    });
    return this;
  }
}

/** Elections and fencing: one leader, and none of the past. */
export function electionContract(harness: BusHarness): void {
  it('elects exactly one of three, which all know, and another when it resigns', async () => {
    const role = unique('role');
    const bus = await harness.bus();
    const topic = await harness.topic(bus, { compacted: true });
    const candidates = await Promise.all(
      ['one', 'two', 'three'].map(async (name) => new Candidate(name).run(await harness.bus(), role)),
    );
    const leaders = () => candidates.filter(({ writer }) => writer);
    const settled = async (among: readonly Candidate[]) =>
      waitUntil(
        'one leads and all know it',
        () => {
          const [leader] = leaders();
          return leaders().length === 1 && among.every(({ campaign }) => campaign?.leader() === leader?.name)
            ? leader
            : undefined;
        },
        { timeoutMs: 40_000 },
      );
    const first = await settled(candidates);
    await waitUntil('it can write', () =>
      leaders()[0]
        ?.writer?.append([textRecord(topic, 'k', 'first')])
        .then(
          () => true,
          () => false,
        ),
    );
    const [leading] = leaders();
    await leading?.campaign?.resign();
    const others = candidates.filter((candidate) => candidate !== leading);
    const second = await settled(others);
    expect(second).not.toBe(leading);
    expect(second.terms.at(-1)).toBeGreaterThan(first.terms.at(-1) ?? 0n);
    await expect(leading?.last?.append([textRecord(topic, 'k', 'ghost')])).rejects.toMatchObject({
      code: 'LEADERSHIP_LOST',
    });
  });

  it('a write of the leader can be read by who looks after it returned', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus, { compacted: true });
    const leader = await new Candidate('one').run(bus, unique('role'));
    const writer = await waitUntil('it leads', () => leader.writer, { timeoutMs: 40_000 });
    const seen = new Map<string, string | null>();
    const follower = await bus.follow({ topic, onRecord: (record) => seen.set(record.key, textOf(record)) });
    for (let index = 0; index < 10; index++) {
      const positions = await writer.append([
        textRecord(topic, 'a', `a${index}`),
        textRecord(topic, 'b', `b${index}`),
      ]);
      expect(positions).toHaveLength(2);
      await follower.catchUp();
      expect([seen.get('a'), seen.get('b')]).toEqual([`a${index}`, `b${index}`]);
    }
  });

  it('a leader that needs longer than its lease to get ready stays the leader', async () => {
    const role = unique('role');
    const slow = await new Candidate('slow').run(
      await harness.bus(),
      role,
      () => new Promise((resolve) => setTimeout(resolve, 4_000)),
    );
    await waitUntil('it leads', () => slow.writer, { timeoutMs: 40_000 });
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    expect(await slow.writer?.append([textRecord(topic, 'k', 'done')])).toHaveLength(1);
    expect(slow.terms).toHaveLength(1);
  });

  it('a leader that cannot get ready: is elected again until it can', async () => {
    let failures = 0;
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    const candidate = await new Candidate('one').run(bus, unique('role'), () => {
      failures += 1;
      return failures < 3 ? Promise.reject(new Error('not ready')) : Promise.resolve();
    });
    await waitUntil('it leads', () => candidate.writer, { timeoutMs: 40_000 });
    expect(failures).toBe(3);
    expect(await candidate.writer?.append([textRecord(topic, 'k', 'done')])).toHaveLength(1);
  });

  it('a leader that is killed: another takes over; one that is frozen: fenced when it wakes', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    const role = unique('role');
    const [a, b] = ['a', 'b'].map((candidate) => harness.process({ kind: 'lead', role, candidate, topic }));
    if (!a || !b) throw new Error('two processes');
    await Promise.all([a.until('ready'), b.until('ready')]);
    const leads = (child: typeof a) => child.texts('elected').length > child.texts('revoked').length;
    const frozen = await waitUntil('one leads', () => [a, b].find(leads), { timeoutMs: 40_000 });
    frozen.tell('before');
    await waitUntil(
      'it writes',
      () => frozen.texts('appended').includes('before') || frozen.texts('refused').includes('before'),
    );
    const writes = frozen.texts('appended').length;
    frozen.signal('SIGSTOP');
    const other = frozen === a ? b : a;
    const elections = other.texts('elected').length;
    await other.until('elected', elections);
    other.tell('next');
    await other.until('appended');
    frozen.signal('SIGCONT');
    frozen.tell('zombie');
    const refused = await frozen.until(
      'refused',
      frozen.texts('refused').filter((text) => text !== 'zombie').length,
    );
    expect(refused).toMatchObject({ text: 'zombie', code: 'LEADERSHIP_LOST' });
    const texts: (string | null)[] = [];
    const follower = await bus.follow({ topic, onRecord: (record) => texts.push(textOf(record)) });
    await follower.caughtUp;
    expect(texts).toEqual([...(writes > 0 ? ['before'] : []), 'next']);
    await other.kill();
    await frozen.until('elected', frozen.texts('elected').length - (leads(frozen) ? 1 : 0));
  });
}
