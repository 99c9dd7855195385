import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Mesh } from '../support/mesh.js';
import { ROOT, temporaryFolder } from '../support/paths.js';
import { PlainClient } from '../support/plain-grpc.js';
import { thalamus } from '../support/run-command.js';
import { startMesh } from '../support/start-mesh.js';

const NAME = 'tuned-snips';
const PROMPT = 'Book a table for two at a restaurant';

interface Answer {
  readonly expert: string;
  readonly output: {
    readonly label: string;
    readonly scores: readonly { readonly label: string; readonly score: number }[];
  };
}

let mesh: Mesh;
let folder: string;
beforeAll(async () => {
  folder = temporaryFolder('low-rank');
  mesh = await startMesh();
});
afterAll(async () => {
  await mesh.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('an expert that is fine-tuned into a folder and added to a running mesh', () => {
  it('answers over the command line, HTTP and the Open Inference Protocol, beside the probes', async () => {
    const out = join(folder, NAME);
    const data = join(ROOT, 'zoo/data/sample/snips7.train.csv');
    const settings = [
      '--method',
      'lora',
      '--keep-method',
      '--epochs',
      '1',
      '--rank',
      '4',
      '--max-tokens',
      '24',
    ];
    const trained = await thalamus(
      ['experts', 'train', '--name', NAME, '--data', data, '--out', out, ...settings, '--json'],
      { timeoutMs: 300_000 },
    );
    expect(trained.exit, trained.stderr).toBe(0);
    expect(await mesh.json(['experts', 'add', out])).toMatchObject({ expert: NAME, version: '1' });
    const ask = () => mesh.json<Answer>(['ask', PROMPT, '--model', NAME, '--top', '7']);
    await expect
      .poll(
        () =>
          ask().then(
            ({ expert }) => expert,
            () => '',
          ),
        { timeout: 60_000 },
      )
      .toBe(NAME);
    const answer = await ask();
    expect(answer.output.scores).toHaveLength(7);

    const response = await fetch(`${mesh.http}/v1/classifications`, {
      method: 'POST',
      headers: { authorization: `Bearer ${mesh.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: NAME, input: PROMPT }),
    });
    expect(response.status).toBe(200);
    expect(JSON.stringify(await response.json())).toContain(answer.output.label);

    const oip = new PlainClient('inference/grpc_service.proto', 'inference.GRPCInferenceService', mesh.grpc);
    const contents = { bytes_contents: [Buffer.from(PROMPT)] };
    const inputs = [{ name: 'text', datatype: 'BYTES', shape: [1], contents }];
    const inferred = await oip.call('ModelInfer', { model_name: NAME, inputs });
    oip.close();
    const outputs = inferred['outputs'] as { name: string }[];
    const raw = inferred['raw_output_contents'] as Buffer[];
    expect(raw[outputs.findIndex(({ name }) => name === 'label')]?.subarray(4).toString()).toBe(
      answer.output.label,
    );

    // Probes answer as before from the exchanged graph.
    const probe = await mesh.json<Answer>(['ask', PROMPT, '--model', 'snips7']);
    expect(probe.output.label).toBe('BookRestaurant');
  });
});
