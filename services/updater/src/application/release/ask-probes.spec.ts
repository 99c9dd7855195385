import { create } from '@bufbuild/protobuf';
import { releaseV1, TOPICS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { decodeEvent, type BusRecord } from '@thalamus/events';
import { beforeEach, describe, expect, it } from 'vitest';
import { releaseRecord } from '../../../test/release-record.js';
import { MAX_TRIES } from '../../domain/release/probe-queue.js';
import { moved } from '../../domain/release/release-states.js';
import { AskProbes } from './ask-probes.js';

const { SHADOW } = releaseV1.ReleaseState;
const PROBES = Array.from({ length: 10 }, (_, at) => ({ id: `q${at}`, text: `secret ${at}`, label: 'a' }));
const away = () => new ThalamusError('UPSTREAM_UNAVAILABLE', 'The host is away.');

describe('asking the probes of a release', () => {
  const begun = releaseRecord();
  const probes = create(releaseV1.ReleaseProbesSchema, { digest: 'sha256:p', items: PROBES.length });
  const draft = { ...begun, details: { ...begun.details, probes } };
  const release = moved(draft, SHADOW, { by: 'gate', reason: 'ready', atMs: 1 });
  const writer = { isLeader: true };
  const known = new Set<string>();
  let live = [release];
  let published: BusRecord[];
  let now = 0;
  let labelOf: (version: string, text: string) => Promise<string>;
  let publish: (records: readonly BusRecord[]) => Promise<void>;
  let read: () => Promise<typeof PROBES>;
  let ready: readonly string[];
  let atOnce = 0;
  let mostAtOnce = 0;
  let asks: AskProbes;

  const items = () =>
    published.map((record) => {
      const event = decodeEvent(TOPICS.probeAnswered, record);
      return event ? { item: event.item, before: event.stableRight, after: event.candidateRight } : undefined;
    });
  beforeEach(() => {
    [writer.isLeader, live, published, now, ready, mostAtOnce] = [true, [release], [], 0, ['1', '2'], 0];
    known.clear();
    labelOf = (version) => Promise.resolve(version === '1' ? 'a' : 'b');
    publish = (records) => Promise.resolve(void published.push(...records));
    read = () => Promise.resolve(PROBES);
    asks = new AskProbes(
      {
        releases: { live: () => live },
        writer,
        evidence: { answered: () => (item) => known.has(item) },
        files: { read: () => read() },
        hosts: {
          canAsk: (_, version) => ready.includes(version),
          labelOf: async (_, version, text) => {
            mostAtOnce = Math.max(mostAtOnce, ++atOnce);
            try {
              await Promise.resolve();
              return await labelOf(version, text);
            } finally {
              atOnce -= 1;
            }
          },
        },
        bus: {
          publish: async (records) => {
            await publish(records);
            return [];
          },
        },
      },
      { roundItems: 6, everyMs: 1_000, atOnce: 2 },
      () => now,
    );
  });
  const rounds = async (n: number) => {
    for (let round = 0; round < n; round++) {
      await asks.round();
      now += 60_000;
    }
  };

  it('writes what both said of each item once, a bounded number at once, and nothing of the text', async () => {
    await rounds(4);
    expect(
      items()
        .map((event) => event?.item)
        .toSorted(),
    ).toEqual(PROBES.map(({ id }) => id).toSorted());
    expect(items()[0]).toMatchObject({ before: true, after: false });
    // Two items, each of two versions.
    expect(mostAtOnce).toBe(4);
    expect(published.some(({ value }) => Buffer.from(value ?? []).includes('secret'))).toBe(false);
    expect(asks.note(release)).toBe('');
  });

  it('keeps its pace by a clock of its own', async () => {
    await asks.round();
    await asks.round();
    expect(published).toHaveLength(6);
    now = 1_000;
    await asks.round();
    expect(published).toHaveLength(10);
  });

  it('writes nothing of a round in which it was no longer elected, and asks those again once it is', async () => {
    labelOf = (version) => {
      writer.isLeader = false;
      return Promise.resolve(version);
    };
    await rounds(2);
    expect(published).toEqual([]);
    writer.isLeader = true;
    labelOf = () => Promise.resolve('a');
    await rounds(4);
    expect(new Set(items().map((event) => event?.item)).size).toBe(10);
    expect(published).toHaveLength(10);
  });

  it('asks again what the bus did not take, and says why', async () => {
    publish = () => Promise.reject(new ThalamusError('KAFKA_UNREACHABLE', 'The bus is away.'));
    await rounds(1);
    expect(asks.note(release)).toContain('The bus is away.');
    publish = (records) => Promise.resolve(void published.push(...records));
    await rounds(3);
    expect(published).toHaveLength(10);
    expect(asks.note(release)).toBe('');
  });

  it('takes no failure for an answer: it comes again, so often, and is given up', async () => {
    let tries = 0;
    labelOf = (version, text) => {
      if (text !== 'secret 3' || version === '1') return Promise.resolve('a');
      tries += 1;
      return Promise.reject(away());
    };
    await rounds(20);
    expect(tries).toBe(MAX_TRIES);
    expect(
      items()
        .map((event) => event?.item)
        .toSorted(),
    ).toEqual(
      PROBES.map(({ id }) => id)
        .filter((id) => id !== 'q3')
        .toSorted(),
    );
    expect(asks.note(release)).toBe('Probes that could not be asked, and are not asked again: 1.');
  });

  it('waits for hosts, and costs no item a try for that', async () => {
    ready = ['1'];
    await rounds(20);
    expect(asks.note(release)).toBe('Probes wait: no host has pico@2.');
    ready = ['1', '2'];
    await rounds(3);
    expect(published).toHaveLength(10);
  });

  it('reads the file again until it can be read', async () => {
    read = () => Promise.reject(new ThalamusError('ARTIFACT_NOT_FOUND', 'No artifact has it.'));
    await rounds(2);
    expect(asks.note(release)).toBe('Probes wait: No artifact has it.');
    read = () => Promise.resolve(PROBES);
    await rounds(3);
    expect(published).toHaveLength(10);
  });

  it('goes on with what the log does not have, and ends with the release', async () => {
    for (const { id } of PROBES.slice(0, 7)) known.add(id);
    await rounds(1);
    expect(
      items()
        .map((event) => event?.item)
        .toSorted(),
    ).toEqual(['q7', 'q8', 'q9']);
    live = [];
    await rounds(2);
    expect(published).toHaveLength(3);
    expect(asks.note(release)).toBe('');
  });
});
