import { tensor } from '@thalamus/tensor';
import { waitUntil } from '@thalamus/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { RowTable } from '../src/inference-runtime.port.js';
import { OpenModels } from '../src/open-models.js';
import { Relief } from '../src/relief.js';

/** Relief of a table whose one row is read when it is let to; `pass` lets time go by. */
function relieved(children = () => 2) {
  let letRead = () => {};
  const mayRead = new Promise<void>((resolve) => (letRead = resolve));
  const read = async () => {
    await mayRead;
    return { row: tensor('float32', [1], Float32Array.of(1)) };
  };
  const open = new OpenModels();
  // Nobody asks anything of it: its rows are all that counts.
  const table = {} as RowTable;
  open.addTable(table, {
    id: 1,
    columns: { row: { dtype: 'float32', shape: [1] } },
    rows: new Map([[1, read]]),
  });
  const relief = new Relief(open, { children, runTimeoutMs: 1_000, slackBytes: 0 });
  onTestFinished(() => relief.close(0));
  const press = () => {
    for (const at of [0, 400]) relief.press(at);
  };
  const clock = performance.now.bind(performance);
  let passedMs = 0;
  const now = vi.spyOn(performance, 'now').mockImplementation(() => clock() + passedMs);
  onTestFinished(() => {
    now.mockRestore();
  });
  const pass = (ms: number) => (passedMs += ms);
  return { relief, press, pass, letRead };
}

describe('Relief', () => {
  it('does not end a child for idleness while it is given what is open, however long that takes', async () => {
    const { relief, press, pass, letRead } = relieved();
    press();
    expect(relief.processes.length).toBe(1);
    pass(60_000);
    relief.check(Number.MAX_SAFE_INTEGER);
    expect(relief.processes.length).toBe(1);
    letRead();
    await waitUntil('the child has everything', () => relief.lanes === 2);
    await waitUntil('the child is idle', () => {
      pass(1_000);
      relief.check(Number.MAX_SAFE_INTEGER);
      return relief.processes.length === 0;
    });
  });

  it('judges no child by a first one that is started again', async () => {
    const { relief, press, letRead } = relieved();
    press();
    letRead();
    await waitUntil('the child has everything', () => relief.lanes === 2);
    relief.check(undefined);
    expect(relief.processes.length).toBe(1);
    relief.check(0);
    expect(relief.processes.length).toBe(0);
  });

  it('asks now and then whether there may be another child, not with every run that waits', () => {
    const children = vi.fn(() => 1);
    const { relief } = relieved(children);
    for (let at = 0; at < 1_300; at++) relief.press(at);
    expect(children).toHaveBeenCalledTimes(4);
  });
});
