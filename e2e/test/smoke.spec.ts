import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchMesh, type LaunchedMesh } from '../support/mesh.js';

/** The shortest proof that the whole mesh works; `npm run e2e` is the full one. */
describe('a mesh that thalamus up started', () => {
  let mesh: LaunchedMesh;
  beforeAll(async () => {
    mesh = await launchMesh();
  }, 150_000);
  // Stopping fails when the launcher does not end with 0 or leaves a process.
  afterAll(() => mesh.stop(), 60_000);

  it('routes a prompt to an expert, which answers it', async () => {
    const answer = await mesh.json<{ expert: string; output: { label: string } }>([
      'ask',
      'I lost my card, please block it',
    ]);
    expect(['banking77', 'clinc150']).toContain(answer.expert);
    expect(answer.output.label).toMatch(/lost|card|freeze/);
  });

  it('ranks every expert of the task under a flag', async () => {
    const decision = await mesh.json<{ ranked: { costs: { name: string }[] }[] }>([
      'route',
      'The party of the first part shall indemnify',
      '--flag',
      'size=0.5',
    ]);
    expect(decision.ranked.length).toBeGreaterThan(5);
    expect(decision.ranked.every(({ costs }) => costs.some(({ name }) => name === 'size'))).toBe(true);
  });
});
