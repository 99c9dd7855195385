import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { EXIT, VERDICT_EXIT, VERDICT_VERBS } from './exit-codes.js';
import { createProgram, verbOf } from './program.js';
import { describeFault, endOfOutput } from './report-fault.js';

async function faultOf(...args: string[]) {
  const program = await createProgram();
  const fault: unknown = await program.parseAsync(args, { from: 'user' }).then(
    () => undefined,
    (error: unknown) => error,
  );
  return describeFault(fault, verbOf(program, args));
}

describe('describeFault', () => {
  it.each([
    [['askk'], 'unknown command \'askk\'\n(Did you mean ask?)\n"thalamus --help"'],
    [['experts', 'lst'], 'unknown command \'lst\'\n(Did you mean list?)\n"thalamus experts --help"'],
    [['ask', 'hello', '--modle', 'x'], "unknown option '--modle'\n(Did you mean --model?)"],
    [['ask'], "missing required argument 'prompt'"],
    [['ask', 'a', 'b'], 'too many arguments'],
    [['up', '--port', ''], 'It must be a whole number from 0 to 65535.'],
  ])('%j is a mistake of the command line', async (args, text) => {
    const report = await faultOf(...args);
    expect(report?.message).toContain(text);
    expect(report?.exit).toBe(EXIT.usage);
  });

  it.each([
    ['UPSTREAM_UNAVAILABLE', EXIT.unreachable],
    ['KAFKA_UNREACHABLE', EXIT.unreachable],
    ['CONFIG_INVALID', EXIT.usage],
    ['FLAG_INVALID', EXIT.usage],
    ['EXPERT_NOT_FOUND', EXIT.failed],
  ] as const)('%s ends with %i', (code, exit) => {
    expect(describeFault(new ThalamusError(code, 'what and what to do'), 'thalamus')).toEqual({
      code,
      message: 'what and what to do',
      exit,
    });
  });

  it.each([
    ['--budget', '2'],
    ['--sliced', 'label'],
    ['--slices', 'colour'],
    ['--report', 'pdf'],
    ['--json', '--report', 'md'],
    ['--before', 'nowhere.jsonl', '--after', 'nowhere.jsonl'],
    [],
  ])(
    'a verb that answers with a verdict has one exit code for whatever keeps it from that: %j',
    async (...args) => {
      expect((await faultOf('release', 'compare', ...args))?.exit).toBe(VERDICT_EXIT.error);
    },
  );

  it.each([
    ['diff', 'nowhere', 'nowhere'],
    ['diff'],
    ['gate', 'check'],
    ['gate', 'check', 'nowhere.yaml', '--gate', 'x'],
  ])('so has release %s %s', async (...args) => {
    expect((await faultOf('release', ...args))?.exit).toBe(VERDICT_EXIT.error);
  });

  it('knows such verbs by names that are there', async () => {
    const program = await createProgram();
    for (const verb of VERDICT_VERBS) expect(verbOf(program, verb.split(' ').slice(1))).toBe(verb);
  });

  it('shows what an unexpected fault said', () => {
    expect(describeFault(new TypeError('odd'), 'thalamus')).toMatchObject({
      code: 'INTERNAL',
      message: 'odd',
      exit: EXIT.failed,
    });
  });
});

describe('endOfOutput', () => {
  it.each([
    ['a reader that has read enough leaves the verdict', 'EPIPE', 'thalamus release compare', 1, 1],
    ['a full disk is no verdict', 'ENOSPC', 'thalamus release compare', 0, VERDICT_EXIT.error],
    ['a full disk is a failure of other verbs', 'ENOSPC', 'thalamus experts list', 0, EXIT.failed],
  ])('%s', (_, code, verb, soFar, exit) => {
    const end = endOfOutput({ code }, verb, soFar);
    expect(end.exit).toBe(exit);
    expect(end.message).toBe(code === 'EPIPE' ? '' : `The output cannot be written (${code}).`);
  });
});
