import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Mesh } from '../support/mesh.js';
import { NODE, ROOT } from '../support/paths.js';
import { startCommand, startThalamus } from '../support/run-command.js';
import { startMesh } from '../support/start-mesh.js';

interface Answer {
  readonly expert: string;
  readonly version: string;
  readonly output: { readonly label: string; readonly scores: readonly { label: string; score: number }[] };
  readonly decision: Decision | null;
  readonly timingsMs: Readonly<Record<string, number>>;
}

interface Decision {
  readonly ranked: readonly {
    readonly expert: string;
    readonly predictedLoss: number;
    readonly costs: readonly { readonly name: string; readonly value: number; readonly weight: number }[];
    readonly total: number;
  }[];
  readonly rejected: readonly { readonly filter: string; readonly count: number }[];
}

let mesh: Mesh;
beforeAll(async () => {
  mesh = await startMesh();
});
afterAll(() => mesh.stop());

describe('thalamus ask', () => {
  it('answers with the expert, its output, the decision and the times', async () => {
    const answer = await mesh.json<Answer>(['ask', 'I lost my card, please block it']);
    expect(['banking77@3', 'clinc150@2']).toContain(`${answer.expert}@${answer.version}`);
    expect(answer.output.scores[0]?.label).toBe(answer.output.label);
    const scores = answer.output.scores.map(({ score }) => score);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
    expect(scores.every((score) => score >= 0 && score <= 1)).toBe(true);
    const { ranked, rejected } = answer.decision ?? { ranked: [], rejected: [] };
    expect(ranked[0]?.expert).toBe(answer.expert);
    expect(ranked.map(({ total }) => total)).toEqual(ranked.map(({ total }) => total).sort((a, b) => a - b));
    for (const { predictedLoss, costs, total } of ranked)
      expect(total).toBeCloseTo(
        predictedLoss + costs.reduce((sum, cost) => sum + cost.value * cost.weight, 0),
        4,
      );
    expect(rejected.every(({ filter, count }) => filter.length > 0 && count > 0)).toBe(true);
    expect(answer.timingsMs['total']).toBeGreaterThan(0);
  });

  it.each([
    ['Add this song to my workout playlist', 'snips7'],
    ['Either party may terminate this agreement upon thirty days notice', 'cuad-clause20'],
    ['The decision of the court below is hereby overruled', 'overruling'],
  ])('sends "%s" to the expert that knows it', async (prompt, expert) => {
    expect((await mesh.json<Answer>(['ask', prompt])).expert).toBe(expert);
  });

  it('asks the expert that is named, without a decision', async () => {
    const answer = await mesh.json<Answer>([
      'ask',
      'Book a table for two',
      '--model',
      'snips7@2',
      '--top',
      '3',
    ]);
    expect(answer.expert).toBe('snips7');
    expect(answer.output.label).toBe('BookRestaurant');
    expect(answer.output.scores).toHaveLength(3);
    expect(answer.decision).toBeNull();
  });

  it('reads standard input for -', async () => {
    const answer = await mesh.json<Answer>(['ask', '-', '--model', 'snips7'], {
      input: 'Book a table for two\n',
    });
    expect(answer.output.label).toBe('BookRestaurant');
  });

  it('writes plain lines into a pipe, without colours or bars that move', async () => {
    const { stdout, stderr, exit } = await mesh.run(['ask', 'Book a table for two']);
    expect(exit).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).not.toContain('\u001b');
  });

  it('ends quietly when nobody reads its output', async () => {
    const command = startThalamus(['ask', 'Book a table for two', '--data', mesh.dataFolder]);
    command.child.stdout?.destroy();
    const { exit, stderr } = await command.ended;
    expect(stderr).toBe('');
    expect(exit).toBe(0);
  });

  it('works through npx from another Node', async () => {
    const { exit, stdout, stderr } = await startCommand(
      'npx',
      ['--no', 'thalamus', 'ask', 'Book a table for two', '--json', '--data', mesh.dataFolder],
      { workingFolder: ROOT },
    ).ended;
    expect(exit, stderr).toBe(0);
    expect((JSON.parse(stdout) as Answer).output.label).toBe('BookRestaurant');
  });
});

describe('thalamus route', () => {
  it('weighs a flag into the ranking', async () => {
    const prompt = 'The party of the first part shall indemnify';
    const decision = await mesh.json<Decision>(['route', prompt, '--flag', 'size=0.5']);
    expect(decision.ranked.length).toBeGreaterThan(5);
    for (const { costs } of decision.ranked)
      expect(costs.find(({ name }) => name === 'size')).toMatchObject({ weight: 0.5 });
  });

  it('refuses experts over a hard limit and counts them by filter', async () => {
    const decision = await mesh.json<Decision>(['route', 'Is this clause enforceable?', '--flag', 'size<1']);
    expect(decision.ranked).toEqual([]);
    const counted = decision.rejected.reduce((sum, { count }) => sum + count, 0);
    expect(counted).toBeGreaterThanOrEqual(mesh.experts.length);
  });

  it.each([
    ['a flag that does not exist', ['--flag', 'colour=1'], 'FLAG_INVALID', 2],
    ['the same flag twice', ['--flag', 'size=1', '--flag', 'size=2'], 'FLAG_INVALID', 2],
    ['a task that does not exist', ['--task', 'cooking'], 'REQUEST_INVALID', 1],
  ])('refuses %s', async (_what, args, code, exit) => {
    const result = await mesh.run(['route', 'hello', '--json', ...args]);
    expect(JSON.parse(result.stderr)).toMatchObject({ error: { code } });
    expect(result.exit).toBe(exit);
  });
});

describe('a verb that is typed wrong', () => {
  it.each([
    [['askk'], 'Did you mean ask?'],
    [['ask', 'hello', '--jsn'], 'Did you mean --json?'],
    [['ask'], "missing required argument 'prompt'"],
    [['ask', 'hello', '--top', 'many'], 'whole number'],
    [['keys', 'create', '--tenant', 'x', '--role', 'king'], 'viewer, operator, admin'],
  ])('thalamus %j says what is wrong and ends with 2', async (args, text) => {
    const { exit, stderr, stdout } = await startCommand(NODE, ['services/cli/bin/thalamus.mjs', ...args])
      .ended;
    expect(stderr).toContain(text);
    expect(stdout).toBe('');
    expect(exit).toBe(2);
  });
});
