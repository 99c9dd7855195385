import { describe, expect, it } from 'vitest';
import { EXIT, EXIT_MEANINGS } from './exit-codes.js';
import { examplesOf } from './mesh-command.js';
import { createProgram } from './program.js';
import { leaves, referencePage } from './reference-page.js';

const verbsOfProgram = (await createProgram()).commands;
const verbs = verbsOfProgram.flatMap((command) => leaves(command, 'thalamus'));

describe('every verb', () => {
  it.each(verbs)('%s has a description, --json, and examples that it accepts', async (path, verb) => {
    expect(verb.description()).toMatch(/^[a-z].*[^.]$/s);
    expect(verb.options.map(({ long }) => long)).toContain('--json');
    const examples = examplesOf(verb);
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) {
      expect(example.startsWith(path)).toBe(true);
      const words = example.replace(/ < .*$/, '').match(/"[^"]*"|\S+/g) ?? [];
      const program = await createProgram();
      const [, command] = program.commands
        .flatMap((item) => leaves(item, 'thalamus'))
        .find(([name]) => name === path)!;
      let ran = false;
      command.action(() => {
        ran = true;
      });
      await program.parseAsync(
        words.slice(1).map((word) => word.replaceAll('"', '')),
        { from: 'user' },
      );
      expect(ran).toBe(true);
    }
  });

  it('is on the reference page, with every exit code', async () => {
    const page = await referencePage();
    for (const [path] of verbs) expect(page).toContain(`## ${path}\n`);
    expect(Object.keys(EXIT_MEANINGS)).toEqual(Object.keys(EXIT));
    // Nothing of the machine that makes the page is on it.
    expect(page).not.toContain(process.cwd());
  });
});

describe('a command line that begins with a verb', () => {
  const whole = new Map(verbsOfProgram.map((command) => [command.name(), command.helpInformation()]));

  it.each([...whole])('%s reads that verb alone, as it is in the whole tree', async (name, help) => {
    const { commands } = await createProgram([name]);
    expect(commands.map((command) => command.helpInformation())).toEqual([help]);
  });

  it.each([[[]], [['--help']], [['help', 'up']], [['constructor']]])('%j reads all', async (args) => {
    expect((await createProgram(args)).commands.map((command) => command.name())).toEqual([...whole.keys()]);
  });
});

describe('experts train', () => {
  it.each([
    [['--threads', '2', '--restart'], /^--threads, --restart: a job of the mesh has no such option/],
    [['--rank', '4', '--warm-up', '0.2'], /^--warm-up, --rank: the method probe has no such setting/],
    [['--method', 'full', '--alpha', '8'], /^--alpha: the method full has no such setting/],
    [['--out', '/nowhere/x', '--method', 'probe', '--epochs', '2'], /^--epochs: the method probe/],
  ])('refuses %j, which would have no effect', async (more, pattern) => {
    const words = ['experts', 'train', '--name', 'x', '--data', 'x.csv', ...more];
    const program = await createProgram();
    await expect(program.parseAsync(words, { from: 'user' })).rejects.toThrow(pattern);
  });
});

describe('release repair', () => {
  it.each([
    [
      ['--release', 'r', '--out', 'x', '--threads', '2'],
      /^--out, --threads: a release is repaired by a job, .* leave it away, or repair into a folder/,
    ],
    [['--release', 'r', '--from', 'a@1', '--to', 'a@2'], /^--from, --to: a release is repaired by a job/],
    [['--from', 'a', '--to', 'b', '--out', 'x', '--detach'], /^--detach: a repair into a folder is no job/],
    [['--from', 'a'], /^--to, --out must be given: name both versions .* or a release with --release/],
  ])('refuses %j', async (more, pattern) => {
    const words = ['release', 'repair', '--data', 'x.csv', ...more];
    const program = await createProgram();
    await expect(program.parseAsync(words, { from: 'user' })).rejects.toThrow(pattern);
  });
});
