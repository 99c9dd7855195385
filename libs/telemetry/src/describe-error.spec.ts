import { ThalamusError } from '@thalamus/errors';
import { readFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { describeError } from './describe-error.js';

const PROMPT = 'my-secret-prompt';

function thrown(work: () => unknown): unknown {
  try {
    work();
  } catch (fault) {
    return fault;
  }
  throw new Error('expected a failure');
}

describe('describeError', () => {
  it('keeps the text of an error that may quote input out, and its place in', () => {
    const quoting = [
      thrown(() => JSON.parse(PROMPT)),
      thrown(() => Buffer.alloc(PROMPT as unknown as number)),
      new Error(`cannot tokenise ${PROMPT}`),
      new ThalamusError('INTERNAL', 'It failed.', { cause: new Error(PROMPT) }),
      PROMPT,
      new AggregateError([new Error(PROMPT)], PROMPT),
    ];
    for (const fault of quoting) expect(JSON.stringify(describeError(fault))).not.toContain(PROMPT);
    expect(describeError(quoting[0])).toMatchObject({ type: 'SyntaxError' });
    expect(describeError(quoting[0])?.stack).toContain('describe-error.spec.ts');
  });

  it('keeps a text of several lines out of the frames', () => {
    expect(JSON.stringify(describeError(new Error(`first\n    at ${PROMPT}\nlast`)))).not.toContain(PROMPT);
  });

  it('tells the text of our own errors, of failed system calls and of SQLite', async () => {
    expect(describeError(new ThalamusError('JOB_NOT_FOUND', 'No job has the id 7.'))).toMatchObject({
      type: 'ThalamusError',
      code: 'JOB_NOT_FOUND',
      message: 'No job has the id 7.',
    });
    const missing: unknown = await readFile('/no/such/file').catch((fault: unknown) => fault);
    expect(describeError(missing)).toMatchObject({
      code: 'ENOENT',
      message: expect.stringContaining('/no/such') as string,
    });
    const sqlite = thrown(() => new DatabaseSync(':memory:').exec('SELECT * FROM nothing'));
    expect(describeError(sqlite)?.message).toContain('nothing');
  });

  it('follows causes to a bound', () => {
    let fault = new Error('0');
    for (let depth = 0; depth < 50; depth++) fault = new Error('x', { cause: fault });
    expect(JSON.stringify(describeError(fault)).split('"cause"').length).toBeLessThan(8);
    const circular = new Error('c');
    circular.cause = circular;
    expect(describeError(circular)?.type).toBe('Error');
  });
});
