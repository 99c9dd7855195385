import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { releaseV1 } from '@thalamus/contracts';
import { describe, expect, it } from 'vitest';
import { verdictOf } from './release-verdict.js';

const { ReleaseState, Verdict } = releaseV1;
const PLAN = { steps: [0.1, 1], minimumSamples: 100, stepSeconds: 60 };
const TEST = { test: 'mirror.flips', trials: 400n, events: 40n, limit: 0.01 };
/** At the end of its last step. */
const DONE = {
  ...{ state: ReleaseState.CANARY, step: 2, plan: PLAN, stepHeldMs: 60_000n },
  live: { stepSamples: 100n, tests: [TEST] },
};
const ALARM = { live: { stepSamples: 100n, tests: [{ ...TEST, alarm: true }] } };
const OFFLINE = { comparison: { verdict: Verdict.INCOMPATIBLE, reason: 'Slice refund is above it.' } };

type Shape = MessageInitShape<typeof releaseV1.ReleaseSchema>;
const of = (shape: Shape) => verdictOf(create(releaseV1.ReleaseSchema, shape));
const ended = (state: releaseV1.ReleaseState, reason: string) => ({ state, history: [{ state, reason }] });

describe('the verdict of a release', () => {
  it.each<[string, Shape, string, RegExp]>([
    ['taken back', ended(ReleaseState.ROLLED_BACK, 'Rude.'), 'incompatible', /^Taken back: Rude\.$/],
    ['promoted', ended(ReleaseState.STABLE, 'Good.'), 'compatible', /^Promoted: Good\.$/],
    ['promoted in spite of it', { ...ended(ReleaseState.STABLE, 'So.'), ...OFFLINE }, 'compatible', /So\./],
    ['an alarm', { ...DONE, ...ALARM }, 'incompatible', /^mirror\.flips: 40 of 400 .* limit of 0\.01/],
    ['incompatible offline', { ...DONE, ...OFFLINE }, 'incompatible', /^Compared offline: Slice refund/],
    [
      'under repair',
      { state: ReleaseState.COMPARED, ...OFFLINE, repair: { jobId: 'j1' } },
      'inconclusive',
      /^Under repair: job j1/,
    ],
    [
      'repaired in vain',
      { state: ReleaseState.COMPARED, ...OFFLINE, repair: { jobId: 'j1', ended: true } },
      'incompatible',
      /^Compared offline/,
    ],
    [
      'let go on while its repair ran',
      { ...DONE, ...ALARM, repair: { jobId: 'j1' } },
      'incompatible',
      /^mirror\.flips/,
    ],
    ['all it needs', DONE, 'compatible', /Every step/],
    ['too few samples', { ...DONE, live: { stepSamples: 99n } }, 'inconclusive', /goes on/],
    ['too little time', { ...DONE, stepHeldMs: 59_999n }, 'inconclusive', /goes on/],
    ['a step before the last', { ...DONE, step: 1 }, 'inconclusive', /goes on/],
    ['nothing known of its traffic', { ...DONE, live: undefined }, 'inconclusive', /goes on/],
    ['stopped', { ...DONE, stopped: 'Nobody said yes.' }, 'inconclusive', /^Stopped: Nobody said yes\.$/],
    ['waiting', { state: ReleaseState.SHADOW, waitingFor: '3 of 9.' }, 'inconclusive', /^3 of 9\.$/],
  ])('%s', (_, shape, verdict, reason) => {
    const said = of(shape);
    expect(said.verdict).toBe(verdict);
    expect(said.reason).toMatch(reason);
  });
});
