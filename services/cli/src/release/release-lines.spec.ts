import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { releaseV1 } from '@thalamus/contracts';
import { describe, expect, it } from 'vitest';
import { releaseJson, releaseLines } from './release-lines.js';

const { ReleaseState } = releaseV1;
const release = create(releaseV1.ReleaseSchema, {
  ...{ id: 'r', expert: 'pico', fromVersion: '1', toVersion: '2', state: ReleaseState.CANARY, weight: 0.25 },
  ...{ step: 2, plan: { steps: [0.05, 0.25, 1], level: 0.05 }, waitingFor: '3 of 5 samples have come.' },
  history: [
    { state: ReleaseState.CANARY, at: timestampFromMs(0), by: 'gate', reason: 'on', evidence: ['sha256:1'] },
  ],
  live: {
    mirrored: 9n,
    tests: [{ test: 'mirror.flips', trials: 9n, events: 2n, rate: 2 / 9, limit: 0.01, alarm: true }],
  },
});

describe('a release as it is shown', () => {
  it('says where it stands, what it waits for, how it came there and which limit is broken', () => {
    const lines = releaseLines(release).join('\n');
    expect(lines).toContain(
      'r: pico@1 to 2, canary, step 2 of 3, 25.0 % of the traffic\n3 of 5 samples have come.',
    );
    expect(lines).toContain('1970-01-01T00:00:00.000Z  canary  gate  on');
    expect(lines).toMatch(/mirror\.flips +2 +9 +22\.2 % .* 1\.0 % broken/);
  });

  it('says which job repaired, or repairs, the candidate, with what', () => {
    const parameters = { method: 'muscle', dataset: 'unseen@1', seed: 0 };
    const repair = create(releaseV1.RepairSchema, {
      jobId: 'j',
      parameters,
      by: 'ada',
      replacedVersion: '2',
    });
    const line = (ended: boolean) => releaseLines({ ...release, repair: { ...repair, ended } }).at(2);
    expect(line(false)).toBe(
      'repair of version 2 (muscle on unseen@1, seed 0) by job j, asked for by ada: not taken yet',
    );
    expect(line(true)).toMatch(/asked for by ada$/);
    expect(releaseJson({ ...release, repair }).repair).toEqual({
      ...{ job: 'j', parameters, by: 'ada', replacedVersion: '2', ended: false },
    });
  });

  it('is plain JSON without names of messages', () => {
    const text = JSON.stringify(releaseJson(release));
    expect(text).not.toContain('$typeName');
    expect(JSON.parse(text)).toMatchObject({
      ...{ state: 'canary', plan: { level: 0.05, minimumSamples: 0 }, live: { mirrored: '9' } },
      history: [{ state: 'canary', evidence: ['sha256:1'] }],
    });
  });
});
