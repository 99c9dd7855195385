import { waitUntil } from '@thalamus/testing';
import { describe, expect, it, vi } from 'vitest';
import { PLAIN } from './session-choice.js';
import type { Calibration, KeptCalibration } from './calibrator.port.js';
import { SessionCalibration, type SessionCalibrationOptions } from './session-calibration.js';

const FOUND: Calibration = {
  choice: { threads: 2, weights: 'expanded', arena: true },
  trials: [{ choice: PLAIN, aloneMs: 2, batchMs: 9 }],
  children: 2,
  gain: 1.4,
};

function memoryFile(content?: KeptCalibration) {
  const file = {
    content,
    read: () => Promise.resolve(file.content),
    write: (kept: KeptCalibration) => {
      file.content = kept;
      return Promise.resolve();
    },
  };
  return file;
}

function calibration(options: Partial<SessionCalibrationOptions> = {}) {
  const given = {
    calibrator: { calibrate: vi.fn(() => Promise.resolve<Calibration | undefined>(FOUND)) },
    file: memoryFile(),
    onChanged: vi.fn<(found: Calibration) => void>(),
    onFault: vi.fn<(fault: unknown) => void>(),
  };
  const all = { machine: 'here', set: {}, pauseMs: 1, ...given, ...options };
  return { ...given, calibration: new SessionCalibration(all) };
}

describe('the calibration of sessions', () => {
  it('measures at the first start, keeps that, and measures no more', async () => {
    const first = calibration();
    await first.calibration.start();
    expect(first.calibration.session).toEqual(FOUND.choice);
    const second = calibration({ file: first.file });
    await second.calibration.start();
    expect(second.calibration.session).toEqual(FOUND.choice);
    expect(second.calibrator.calibrate).not.toHaveBeenCalled();
  });

  it('measures again on another machine', async () => {
    const file = memoryFile({
      ...FOUND,
      choice: PLAIN,
      machine: 'elsewhere',
      measuredAt: '2026-01-01T00:00:00Z',
    });
    const { calibration: here, calibrator } = calibration({ file });
    await here.start();
    expect(calibrator.calibrate).toHaveBeenCalledOnce();
    expect(here.session.threads).toBe(2);
    expect(file.content?.machine).toBe('here');
  });

  it('on a busy machine makes plain sessions, tries again, and tells when that changes', async () => {
    const results = [undefined, undefined, FOUND];
    const calibrate = vi.fn(() => Promise.resolve(results.shift()));
    const { calibration: busy, onChanged, file } = calibration({ calibrator: { calibrate } });
    await busy.start();
    expect(busy.session).toEqual(PLAIN);
    expect(file.content).toBeUndefined();
    await waitUntil('a calibration', () => onChanged.mock.calls.length > 0);
    expect(calibrate).toHaveBeenCalledTimes(3);
    expect(busy.session).toEqual(FOUND.choice);
    busy.close();
  });

  it('what was set stands; with all of it set nothing is measured', async () => {
    const threads = calibration({ set: { threads: 1 } });
    await threads.calibration.start();
    expect(threads.calibration.session).toEqual({ threads: 1, weights: 'expanded', arena: true });
    expect(threads.calibration.children).toBe(2);
    const all = calibration({ set: { threads: 4, weights: 'stored', children: 1 } });
    await all.calibration.start();
    expect(all.calibration.session).toEqual({ threads: 4, weights: 'stored', arena: true });
    expect(all.calibration.children).toBe(1);
    expect(all.calibrator.calibrate).not.toHaveBeenCalled();
  });

  it('a calibration that fails is told, and the host starts all the same', async () => {
    const calibrate = vi.fn(() => Promise.reject(new Error('no process')));
    const { calibration: failing, onFault } = calibration({ calibrator: { calibrate }, pauseMs: 60_000 });
    await failing.start();
    expect(onFault).toHaveBeenCalledOnce();
    expect(failing.session).toEqual(PLAIN);
    failing.close();
  });

  it('a full disk does not take away what was measured', async () => {
    const file = { ...memoryFile(), write: () => Promise.reject(new Error('ENOSPC')) };
    const { calibration: full, onFault } = calibration({ file });
    await full.start();
    expect(onFault).toHaveBeenCalledOnce();
    expect(full.session).toEqual(FOUND.choice);
  });
});
