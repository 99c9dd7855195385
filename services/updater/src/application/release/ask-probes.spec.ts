import { create } from '@bufbuild/protobuf';
import { registryV1, releaseV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { beforeEach, describe, expect, it } from 'vitest';
import type { ReleaseRecord } from '../../domain/release/release-states.js';
import { AskProbes } from './ask-probes.js';

const { ReleaseState } = releaseV1;
const BUDGET = { roundItems: 2, everyMs: 1_000, atOnce: 2 };
const PROBES = ['a', 'b', 'c'].map((id) => ({ id, text: `text ${id}`, label: 'yes' }));
const release = create(registryV1.ReleaseSummarySchema, {
  ...{ id: 'r', expert: 'pico', fromVersion: '1', toVersion: '2', state: 'SHADOW' },
  details: { state: ReleaseState.SHADOW, probes: { digest: 'sha256:a' } },
}) as ReleaseRecord;

let nowMs: number;
let asked: string[];
let published: number;
let isBusAway: boolean;
let isLeader: boolean;
let probes: AskProbes;
beforeEach(() => {
  nowMs = 0;
  asked = [];
  published = 0;
  isBusAway = false;
  isLeader = true;
  probes = new AskProbes(
    {
      releases: { live: () => [release] },
      writer: {
        get isLeader() {
          return isLeader;
        },
      },
      evidence: { answered: () => () => false },
      files: { read: () => Promise.resolve(PROBES) },
      hosts: {
        canAsk: () => true,
        labelOf: (_, version, text) => {
          asked.push(`${text} ${version}`);
          return Promise.resolve('yes');
        },
      },
      bus: {
        publish: (events) => {
          if (isBusAway) return Promise.reject(new ThalamusError('EVENT_LOG_BUSY', 'The bus is away.'));
          published += events.length;
          return Promise.resolve(events.map(({ topic }) => ({ topic, partition: 0, offset: 0n })));
        },
      },
    },
    BUDGET,
    () => nowMs,
  );
});

describe('probes of a release', () => {
  it('are asked of both versions, a round at a time, each once', async () => {
    await probes.round();
    await probes.round();
    expect(asked).toHaveLength(4);
    nowMs = 1_000;
    await probes.round();
    nowMs = 2_000;
    await probes.round();
    expect(new Set(asked).size).toBe(6);
    expect([asked.length, published]).toEqual([6, 3]);
  });

  it('wait longer and longer while the log is away, and none is lost', async () => {
    isBusAway = true;
    await probes.round();
    await probes.round();
    expect(asked, 'not at every look').toHaveLength(4);
    expect(probes.note(release)).toBe('Probes wait: The bus is away.');
    nowMs = 1_999;
    await probes.round();
    expect(asked, 'the pause has doubled').toHaveLength(4);
    isBusAway = false;
    for (nowMs = 2_000; nowMs <= 60_000; nowMs += 1_000) await probes.round();
    expect(published).toBe(3);
    expect(probes.note(release)).toBe('');
  });

  it('are not asked by who was not elected', async () => {
    isLeader = false;
    await probes.round();
    expect(asked).toEqual([]);
  });
});
