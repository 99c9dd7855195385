import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Mesh } from '../support/mesh.js';
import { startMesh } from '../support/start-mesh.js';

interface Made {
  readonly expert: string;
  readonly version: string;
  readonly parents: readonly string[];
  readonly metrics: Readonly<Record<string, number>>;
  readonly existed: boolean;
  readonly state: string;
}

const PARENTS = ['banking77', 'snips7'];

let mesh: Mesh;
beforeAll(async () => {
  mesh = await startMesh();
});
afterAll(() => mesh.stop());

describe('thalamus compose', () => {
  it('makes one expert of two, no worse than they are, which answers for both', async () => {
    const made = await mesh.json<Made>(['compose', 'run', ...PARENTS], { timeoutMs: 400_000 });
    expect(made).toMatchObject({ parents: ['banking77@3', 'snips7@2'], existed: false, state: 'ready' });
    for (const parent of PARENTS) {
      const own = made.metrics[`parent_accuracy/${parent}`] ?? Number.NaN;
      expect(made.metrics[`accuracy/${parent}`]).toBeGreaterThanOrEqual(own - 0.01);
    }
    expect(made.metrics['parity_max_abs']).toBeLessThan(1e-4);
    const ask = async (prompt: string) => {
      const answer = await mesh.json<{ output: { label: string } }>(['ask', prompt, '--model', made.expert]);
      return answer.output.label;
    };
    expect(await ask('Book a table for two at an Italian place')).toBe('BookRestaurant');
    expect(await ask('I lost my card, what now?')).toBe('lost_or_stolen_card');

    const again = await mesh.json<Made>(['compose', 'run', ...[...PARENTS].reverse()], {
      timeoutMs: 400_000,
    });
    expect(again).toMatchObject({ expert: made.expert, version: made.version, existed: true });
  }, 900_000);

  it('names the obstacle before any work, with exit code 4', async () => {
    const { obstacles } = await mesh.json<{ obstacles: { kind: string; parent: string }[] }>(
      ['compose', 'preflight', 'banking77', 'minilm-l6'],
      { exit: 4 },
    );
    expect(obstacles).toEqual([expect.objectContaining({ kind: 'task', parent: 'minilm-l6@1' })]);
  });

  it.each([
    [['banking77', 'nobody'], 'EXPERT_NOT_FOUND'],
    [['banking77@9', 'snips7'], 'EXPERT_NOT_FOUND'],
  ])('refuses %j', async (parents, code) => {
    const { exit, stderr } = await mesh.run(['compose', 'run', ...parents, '--json']);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code } });
    expect(exit).toBe(1);
  });
});
