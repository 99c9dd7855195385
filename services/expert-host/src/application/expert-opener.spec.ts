import { create } from '@bufbuild/protobuf';
import { FolderArtifactStore, importBundle } from '@thalamus/bundle';
import { registryV1 } from '@thalamus/contracts';
import { OrtRuntime } from '@thalamus/inference';
import { tensor } from '@thalamus/tensor';
import { writePicoBase, writePicoProbe } from '@thalamus/testing';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ExpertOpener, type MakeRoom } from './expert-opener.js';

const ROOM: MakeRoom = {
  make: () => Promise.resolve({ loaded: () => undefined }),
  behind: (work) => work,
};

/** Two probes on one base, and an opener of them whose processes are this one. */
async function probes() {
  const folder = await mkdtemp(join(tmpdir(), 'thalamus-opener-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const store = new FolderArtifactStore(join(folder, 'artifacts'));
  const base = await writePicoBase(join(folder, 'base'), { name: 'base' });
  await importBundle(join(folder, 'base'), store);
  const versionOf = async (expert: string, seed: number) => {
    const named = { name: 'base', digest: base.digest };
    await writePicoProbe(join(folder, expert), { name: expert, seed }, ['yes', 'no'], named);
    const { digest } = await importBundle(join(folder, expert), store);
    return create(registryV1.ExpertVersionSchema, {
      ...{ expert, version: '1', kind: registryV1.ExpertKind.PROBE },
      ...{ manifestDigest: digest, baseDigest: base.digest },
    });
  };
  const processes = {
    ...{ open: () => new OrtRuntime(), processes: [], spareBytes: 0 },
    ...{ endSpare: () => undefined, endRelief: () => undefined },
  };
  const opener = new ExpertOpener(store, processes, {
    cacheFolder: join(folder, 'cache'),
    ...{ maxBatch: 4, maxBatchTokens: 64, batchDelayMs: 0, maxQueue: 8 },
    deriving: { folder, deriver: { derive: () => Promise.reject(new Error('no probe needs it')) } },
  });
  return { opener, first: await versionOf('first', 1), second: await versionOf('second', 2) };
}

describe('ExpertOpener', () => {
  it('opens an expert on a base that is let go at the same moment, whichever of the two comes first', async () => {
    const { opener, first, second } = await probes();
    const text = new Map([['text', tensor('string', [1], ['hello'])]]);
    for (let turns = 0; turns < 16; turns++) {
      const leaving = await opener.open(first, ROOM);
      const left = leaving.release();
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      const arrived = await opener.open(second, ROOM);
      await left;
      expect((await arrived.infer(text, { parameters: new Map() })).promptTokens).toBeGreaterThan(0);
      await arrived.release();
      expect(opener.residentBases()).toEqual([]);
    }
  });
});
