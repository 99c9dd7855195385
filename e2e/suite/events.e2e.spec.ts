import { waitUntil } from '@thalamus/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Mesh } from '../support/mesh.js';
import { startThalamus } from '../support/run-command.js';
import { startMesh } from '../support/start-mesh.js';

interface EventLine {
  readonly topic: string;
  readonly key: string;
  readonly value: Record<string, unknown> | null;
}

const SECRET = 'zyzzyva-canary-7141';

let mesh: Mesh;
beforeAll(async () => {
  mesh = await startMesh();
});
afterAll(() => mesh.stop());

describe('thalamus events tail', () => {
  it('shows the completion of a request with its decision, and not a word of the prompt', async () => {
    const tail = startThalamus(['events', 'tail', '--from-beginning', '--data', mesh.dataFolder]);
    const response = await fetch(`${mesh.http}/v1/classifications`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${mesh.key}` },
      body: JSON.stringify({ input: `Block my card ${SECRET}` }),
    });
    const { id, data } = (await response.json()) as {
      id: string;
      data: { expert: string; version: string }[];
    };
    const lines = () =>
      tail.said.stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as EventLine);
    const event = await waitUntil(
      'the completion is shown',
      () => lines().find(({ value }) => value?.['requestId'] === id),
      {
        timeoutMs: 30_000,
      },
    );
    expect(event.topic).toBe('thalamus.request.completed.v1');
    expect(event.value).toMatchObject({ expert: data[0]?.expert, version: data[0]?.version, routed: true });
    expect(tail.said.stdout).not.toContain(SECRET);
    tail.child.kill('SIGINT');
    expect((await tail.ended).exit).toBe(0);
  });

  it('stops after --limit, and reads any topic from its beginning', async () => {
    const args = [
      'events',
      'tail',
      '--topic',
      'thalamus.registry.state.v1',
      '--from-beginning',
      '--limit',
      '3',
    ];
    const { exit, stdout } = await mesh.run(args);
    expect(exit).toBe(0);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as EventLine);
    expect(lines).toHaveLength(3);
    for (const { key } of lines) expect(key).toMatch(/^(key|expert|version|dataset|router-model)\//);
  });

  it('refuses a topic that does not exist and lists those that do', async () => {
    const { exit, stderr } = await mesh.run(['events', 'tail', '--topic', 'thalamus.nothing.v1']);
    expect(stderr).toContain('thalamus.request.completed.v1');
    expect(exit).toBe(2);
  });
});
