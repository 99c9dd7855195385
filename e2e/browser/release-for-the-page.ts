import { waitUntil } from '@thalamus/testing';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inject } from 'vitest';
import { makeVersion, surer } from '../release/make-version.js';
import { verbsOf, type MeshFile } from '../support/mesh.js';
import { temporaryFolder } from '../support/paths.js';

/** Expert whose update is on its way while the page is looked at. */
export const EXPERT = 'clinc10-domain';
/** Its candidate. */
export const VERSION = '900';
const ITEMS = 400;
const LABELS = ['card', 'cash', 'loan', 'fee'];
/** Items that the candidate of the prediction files answers wrongly, and those that it mends. */
export const NEGATIVE = ['item-003', 'item-211'];
export const POSITIVE = ['item-020', 'item-021', 'item-022', 'item-023', 'item-024'];

/** A rule that passes, and one that has what it needs only when the page is no longer looked at. */
const GATE = `version: 1
name: page
rules:
  - { name: few-flips, measure: nfr, data: offline, threshold: 0.05, minimumSamples: 300 }
  - { name: mirrored-tail, measure: slowTail, data: shadow, threshold: 0.9, minimumSamples: 1000000 }
`;

/** Begins a release of a real version, which stays in shadow, with files in which a few items flip. Returns its id. */
export async function beginRelease(): Promise<string> {
  const verbs = verbsOf(inject('meshUnderBrowser').dataFolder);
  const folder = temporaryFolder('release-page');
  await makeVersion(EXPERT, VERSION, surer, join(folder, VERSION));
  await verbs.json(['experts', 'add', join(folder, VERSION)]);
  const [before, after] = [predictions(folder, 'before', POSITIVE), predictions(folder, 'after', NEGATIVE)];
  const gate = join(folder, 'gate.yaml');
  writeFileSync(gate, GATE);
  const never = ['--samples', '1000000', '--step-seconds', '86400'];
  const { id } = await verbs.json<{ id: string }>([
    ...['release', 'start', EXPERT, VERSION, '--before', before, '--after', after, '--gate', gate],
    ...['--mirror', '1', '--slower', '50', ...never],
  ]);
  await waitUntil(
    'requests are mirrored',
    async () => (await verbs.json<{ state: string }>(['release', 'status', id])).state === 'shadow',
    { timeoutMs: 120_000, everyMs: 500 },
  );
  return id;
}

/** What the updater tells of itself to Prometheus. */
export async function updaterMetrics(): Promise<string> {
  const file = join(inject('meshUnderBrowser').dataFolder, 'mesh.json');
  const { processes } = JSON.parse(readFileSync(file, 'utf8')) as MeshFile;
  const updater = processes.find(({ service }) => service === 'updater');
  return (await fetch(`http://${updater?.ops ?? ''}/metrics`)).text();
}

/** Asks the expert so often; its candidate answers as well. */
export async function askOften(times: number): Promise<void> {
  const { http } = inject('meshUnderBrowser');
  for (let time = 0; time < times; time++) {
    const body = JSON.stringify({ model: EXPERT, input: `what does my card cost, question ${time}` });
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${http}/v1/classifications`, { method: 'POST', headers, body });
    if (!answer.ok) throw new Error(`${EXPERT} answered with ${answer.status}: ${await answer.text()}`);
  }
}

function predictions(folder: string, name: string, wrong: readonly string[]): string {
  const file = join(folder, `${name}.jsonl`);
  const rows = Array.from({ length: ITEMS }, (_, at) => {
    const id = `item-${String(at).padStart(3, '0')}`;
    const label = LABELS[at % LABELS.length];
    return `${JSON.stringify({ id, label, prediction: wrong.includes(id) ? 'other' : label })}\n`;
  });
  writeFileSync(file, rows.join(''));
  return file;
}
