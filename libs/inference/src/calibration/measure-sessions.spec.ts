import { afterAll, describe, expect, it } from 'vitest';
import { OrtRuntime } from '../ort-runtime.js';
import { measureSessions, type CalibrationClock } from './measure-sessions.js';
import { choicesFor } from './session-choice.js';

const runtime = new OrtRuntime();
afterAll(() => runtime.close());

const clock = (busyMs: () => number): CalibrationClock => ({
  cores: 1,
  now: () => performance.now(),
  busyMs,
  ownMs: () => 0,
});

describe('measuring sessions', () => {
  it('runs the probe in every way and chooses one of them', async () => {
    const found = await measureSessions(
      runtime,
      clock(() => 0),
    );
    expect(found?.trials.slice(0, -1).map(({ choice }) => choice)).toEqual(choicesFor(1));
    for (const { aloneMs, batchMs } of found?.trials ?? []) {
      expect(aloneMs).toBeGreaterThan(0);
      // Four texts are more work than one.
      expect(batchMs).toBeGreaterThan(aloneMs);
    }
    expect(found?.trials.map(({ choice }) => choice)).toContainEqual(found?.choice);
  });

  it('says nothing when others used the machine meanwhile', async () => {
    expect(
      await measureSessions(
        runtime,
        clock(() => performance.now() / 2),
      ),
    ).toBeUndefined();
  });
});
