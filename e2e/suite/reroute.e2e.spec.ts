import { freePorts, waitUntil } from '@thalamus/testing';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { LaunchedMesh } from '../support/mesh.js';
import { NODE, ROOT, serviceMain, temporaryFolder } from '../support/paths.js';
import { startCommand, thalamus, type RunningCommand } from '../support/run-command.js';
import { launchFresh } from '../support/start-mesh.js';

// Each command is a process, which takes seconds where the machine is busy: bounds against hanging, not promises.
vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });
const PATIENCE = { timeoutMs: 120_000, everyMs: 200 };
const { fleet } = JSON.parse(readFileSync(join(ROOT, 'zoo/zoo.json'), 'utf8')) as {
  fleet: { sample: string };
};
const OLD = 'big-2026-03';
const NEW = 'big-2026-11';
const PRICES = { inputUsdPerMtok: 2, outputUsdPerMtok: 8 };

/** A judged prompt: the update lost primes, and gained sums. */
interface Asked {
  readonly id: string;
  readonly task: 'prime' | 'sum';
  readonly text: string;
  readonly label: string;
  readonly [OLD]: string;
  readonly [NEW]: string;
}

const isPrime = (n: number) =>
  Array.from({ length: Math.floor(Math.sqrt(n)) - 1 }, (_, at) => at + 2).every((by) => n % by !== 0);

function prime(at: number): Asked {
  const n = 1_001 + 26 * at;
  const [label, wrong] = isPrime(n) ? ['yes', 'no'] : ['no', 'yes'];
  const text = `Is ${n} a prime number? Think step by step and then answer yes or no.`;
  const [old, own] = [at % 12 === 0 ? wrong : label, at % 3 === 0 ? label : wrong];
  return { id: `prime-${at}`, task: 'prime', text, label, [OLD]: old, [NEW]: own };
}

function sum(at: number): Asked {
  const [has, buys] = [3 + at, 5 + ((7 * at) % 31)];
  const thing = ['apples', 'books', 'coins', 'tickets'][at % 4] ?? '';
  const text = `Mary has ${has} ${thing} and buys ${buys} more ${thing} at the market. How many ${thing} does Mary have now?`;
  const [label, wrong] = [String(has + buys), String(has + buys + 1)];
  const [old, own] = [at % 3 === 0 ? wrong : label, at % 12 === 0 ? wrong : label];
  return { id: `sum-${at}`, task: 'sum', text, label, [OLD]: old, [NEW]: own };
}

const series = <T>(from: number, to: number, of: (at: number) => T) =>
  Array.from({ length: to - from }, (_, at) => of(from + at));
const judged = [...series(0, 80, prime), ...series(0, 80, sum)];
/** Not among the rows that the router model is fitted on. */
const unseen = [...series(80, 86, prime), ...series(80, 86, sum)];

let mesh: LaunchedMesh;
let upstream: RunningCommand;
let baseUrl: string;
const folder = temporaryFolder('reroute');
const at = (name: string) => join(folder, name);

beforeAll(async () => {
  const [port = 0] = await freePorts(1);
  baseUrl = `http://127.0.0.1:${port}/v1`;
  const meta = { set: 'made', licence: 'CC0-1.0', models: [OLD, NEW] };
  const recorded = [...judged, ...unseen].map((row) => ({
    prompt: row.text,
    responses: [OLD, NEW].map((model) => `${model}: ${row[model as typeof OLD]}`),
  }));
  writeFileSync(at('recorded.jsonl.gz'), gzipSync(lines([{ meta }, ...recorded])));
  for (const [name, version] of Object.entries({ old: OLD, new: NEW } as const))
    writeFileSync(
      at(`${name}.jsonl`),
      lines(
        judged.map(({ id, label, task, text, [version]: prediction }) => ({
          ...{ id, label, prediction, task, text },
        })),
      ),
    );
  upstream = startCommand(NODE, [serviceMain('replay') ?? ''], {
    environment: {
      THALAMUS_RECORDINGS: at('recorded.jsonl.gz'),
      THALAMUS_HTTP_PORT: String(port),
      THALAMUS_PACE: '0',
    },
    timeoutMs: 3_600_000,
  });
  await waitUntil('both versions answer', () => upstream.said.stdout.includes('answers at'), PATIENCE);
  mesh = await launchFresh({ arguments: ['--allow-upstream', `127.0.0.1:${port}`] });
});
afterAll(async () => {
  await mesh.stop();
  upstream.child.kill('SIGTERM');
  await upstream.ended;
  rmSync(folder, { recursive: true, force: true });
});

const lines = (rows: readonly object[]) => `${rows.map((row) => JSON.stringify(row)).join('\n')}\n`;

function post(path: string, body: object): Promise<Response> {
  return fetch(`${mesh.http}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${mesh.key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

const ask = (content: string) =>
  post('/v1/chat/completions', { model: 'auto', messages: [{ role: 'user', content }] });

/** Who answered a prompt, by which router model, and with what. */
async function answer(row: Pick<Asked, 'id' | 'text'>) {
  const response = await ask(row.text);
  const { choices } = (await response.json()) as { choices?: [{ message: { content: string } }] };
  const router = response.headers.get('x-thalamus-decision')?.split(';')[0];
  return {
    ...{ id: row.id, router, expert: response.headers.get('x-thalamus-expert') },
    says: choices?.[0].message.content,
  };
}

const answers = async () => {
  const all = [];
  for (const row of unseen) all.push(await answer(row));
  return all;
};
const expected = unseen.map((row) => {
  const expert = row.task === 'prime' ? OLD : NEW;
  return { id: row.id, router: 'back@1', expert, says: `${expert}: ${row[expert]}` };
});
const decidesBy = (router: string) =>
  waitUntil(`${router} decides`, async () => (await answer(unseen[0]!)).router === router, PATIENCE);

describe('the update of a remote model that lost a kind of prompt', () => {
  it('is repaired: the mesh asks the old version for that kind, and the new one for all else', async () => {
    const files = ['--before', at('old.jsonl'), '--after', at('new.jsonl'), '--out', at('back')];
    const made = await thalamus(['release', 'reroute', ...files, '--old', OLD, '--new', NEW, '--json'], {
      timeoutMs: 600_000,
    });
    expect(made.exit, made.stderr).toBe(0);
    expect(JSON.parse(made.stdout)).toMatchObject({ verdict: 'repaired' });
    const known = { version: '1', description: 'Tells primes and adds.', baseUrl, prices: PRICES };
    for (const model of [OLD, NEW]) {
      const added = await post('/admin/v1/experts', { ...known, name: model, model });
      expect(added.status, await added.text()).toBe(201);
    }
    const why = ['--reason', 'primes go to the old version'];
    await mesh.json(['router', 'promote', at('back'), ...why]);
    await decidesBy('back@1');
    expect(await answers()).toEqual(expected);
  });

  it('stays so when the router is killed', async () => {
    const before = mesh.pidOf('router');
    process.kill(before, 'SIGKILL');
    await waitUntil('the router is started again', () => mesh.pidOf('router') !== before, PATIENCE);
    await decidesBy('back@1');
    expect(await answers()).toEqual(expected);
  });

  it('is as before once the router model is taken back', async () => {
    await mesh.json(['router', 'rollback', 'back@1', '--reason', 'the old version is withdrawn']);
    const sample = { id: 'sample', text: fleet.sample };
    await waitUntil(
      'the fleet answers again',
      async () => (await answer(sample)).router?.startsWith('fleet-router@'),
      PATIENCE,
    );
    const { expert } = await answer(sample);
    expect(['mixtral-8x7b', 'gpt-4-1106']).toContain(expert);
  });
});
