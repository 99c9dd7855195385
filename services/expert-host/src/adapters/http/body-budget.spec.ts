import { ThalamusError } from '@thalamus/errors';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { BodyBudget } from './body-budget.js';

const request = (...chunks: readonly Uint8Array[]) =>
  Object.assign(Readable.from(chunks), { headers: {} }) as unknown as IncomingMessage;
const never = new AbortController().signal;

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'OK',
    (fault: unknown) => (ThalamusError.is(fault) ? fault.code : String(fault)),
  );

describe('bodies that are held', () => {
  it('count until they are released, and more than eight of the largest are refused', async () => {
    const budget = new BodyBudget(10);
    const held = [];
    for (let index = 0; index < 8; index += 1)
      held.push(await budget.read(request(new Uint8Array(6), new Uint8Array(4)), never));
    expect(budget.heldBytes).toBe(80);
    expect(await codeOf(budget.read(request(new Uint8Array(1)), never))).toBe('EXPERT_OVERLOADED');
    expect(budget.heldBytes).toBe(80);
    held[0]?.release();
    held[0]?.release();
    expect(budget.heldBytes).toBe(70);
    expect((await budget.read(request(Uint8Array.of(7, 8)), never)).body).toEqual(Uint8Array.of(7, 8));
  });

  it('count no more once one was too large, its client gone or its time up', async () => {
    const budget = new BodyBudget(10);
    expect(await codeOf(budget.read(request(new Uint8Array(6), new Uint8Array(5)), never))).toBe(
      'REQUEST_TOO_LARGE',
    );
    const gone = new Readable({
      read() {
        this.destroy(new Error('aborted'));
      },
    });
    const asked = Object.assign(gone, { headers: {} }) as unknown as IncomingMessage;
    expect(await codeOf(budget.read(asked, never))).toBe('CANCELLED');
    const late = AbortSignal.abort(new ThalamusError('DEADLINE_EXCEEDED', 'late'));
    expect(await codeOf(budget.read(request(new Uint8Array(1)), late))).toBe('DEADLINE_EXCEEDED');
    expect(budget.heldBytes).toBe(0);
  });
});
