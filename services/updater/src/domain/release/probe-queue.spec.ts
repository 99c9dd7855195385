import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_PAUSE_MS, MAX_TRIES, ProbeQueue } from './probe-queue.js';

const PACE = { roundItems: 4, everyMs: 1_000 };
const probes = (n: number) =>
  Array.from({ length: n }, (_, at) => ({ id: `q${at}`, text: `text ${at}`, label: 'a' }));
const none = () => false;
const ids = (items: readonly { readonly id: string }[]) => items.map(({ id }) => id);
/** All that is asked, by a clock that is always late enough. */
const drained = (queue: ProbeQueue, isAnswered: (item: string) => boolean = none) => {
  const asked: string[] = [];
  for (let now = 0; queue.left > 0; now += MAX_PAUSE_MS) {
    asked.push(...ids(queue.due(now, isAnswered)));
    queue.ended(now, true);
  }
  return asked;
};

describe('the probes of a release that are still to be asked', () => {
  it('are each asked once, in an order that the release seeds and the file does not', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(probes(40), { minLength: 2, maxLength: 40 }),
        fc.string(),
        (own, id) => {
          const asked = drained(new ProbeQueue(id, own, PACE));
          expect(asked.toSorted()).toEqual(ids(own).toSorted());
          expect(drained(new ProbeQueue(id, own.toReversed(), PACE))).toEqual(asked);
        },
      ),
    );
    expect(drained(new ProbeQueue('r', probes(40), PACE))).not.toEqual(ids(probes(40)));
    expect(drained(new ProbeQueue('r', probes(40), PACE))).not.toEqual(
      drained(new ProbeQueue('s', probes(40), PACE)),
    );
  });

  it('go on with those that are not answered yet, in the same order', () => {
    const all = drained(new ProbeQueue('r', probes(40), PACE));
    const known = new Set(all.slice(0, 13));
    expect(drained(new ProbeQueue('r', probes(40), PACE), (id) => known.has(id))).toEqual(all.slice(13));
  });

  it('come in rounds, and later after rounds in which hosts were away', () => {
    const queue = new ProbeQueue('r', probes(40), PACE);
    expect(queue.due(5, none)).toHaveLength(4);
    queue.ended(10, true);
    expect(queue.due(1_009, none)).toEqual([]);
    expect(queue.due(1_010, none)).toHaveLength(4);
    let now = 2_000;
    for (const pause of [2_000, 4_000, 8_000, 16_000, 32_000, MAX_PAUSE_MS, MAX_PAUSE_MS]) {
      queue.ended(now, false);
      expect(queue.due(now + pause - 1, none)).toEqual([]);
      now += pause;
      expect(queue.due(now, none)).toHaveLength(4);
    }
    queue.ended(now, true);
    // Eight rounds and more took all but the last.
    expect(queue.due(now + 1_000, none)).toHaveLength(4);
  });

  it('come again behind the others when they could not be asked, so often, and then are given up', () => {
    const queue = new ProbeQueue('r', probes(3), { roundItems: 1, everyMs: 1 });
    const [first] = queue.due(0, none);
    let tries = 0;
    let now = 0;
    let probe = first;
    while (probe && queue.failed(probe)) {
      tries += 1;
      expect(queue.left).toBe(3);
      do {
        now += MAX_PAUSE_MS;
        queue.ended(now, true);
        now += MAX_PAUSE_MS;
        const [next] = queue.due(now, none);
        if (!next) throw new Error('nothing is left');
        if (next.id !== first?.id) queue.failed(next);
        probe = next;
      } while (probe.id !== first?.id && queue.left > 0);
    }
    expect(tries).toBe(MAX_TRIES - 1);
    expect(queue.dropped).toBeGreaterThanOrEqual(1);
  });

  it('stay first when nothing was learnt of them', () => {
    const queue = new ProbeQueue('r', probes(10), PACE);
    const items = queue.due(0, none);
    queue.back(items);
    expect(queue.due(0, none)).toEqual(items);
    expect(queue.dropped).toBe(0);
  });
});
