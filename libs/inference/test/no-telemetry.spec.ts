import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';

const RUNTIME = new URL('../dist/ort-runtime.js', import.meta.url).href;
/** A session is opened and used up: a refused model has loaded the library too. */
const PROGRAM = `
const { OrtRuntime } = await import(${JSON.stringify(RUNTIME)});
await new OrtRuntime().load({ bytes: new Uint8Array(8) }).catch(() => undefined);
console.log(process.env.ORT_DISABLE_TELEMETRY);`;

it('loads ONNX Runtime without its telemetry: no device id is kept', async () => {
  const home = await mkdtemp(join(tmpdir(), 'thalamus-home-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  const { PATH = '' } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', PROGRAM], {
    env: { PATH, HOME: home },
    timeout: 120_000,
  });
  expect(stdout.trim()).toBe('1');
  expect(await readdir(home, { recursive: true })).toEqual([]);
});
