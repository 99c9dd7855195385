/**
 * The part of a start that needs the whole client side: checks and stores the zoo, registers it, and waits until the mesh
 * answers. A process of its own, so that its memory is gone when the mesh stands idle. It talks to the launcher over IPC.
 */
import { FolderArtifactStore } from '@thalamus/bundle';
import { toThalamusError } from '@thalamus/errors';
import { whileElecting } from '../retry.js';
import { registerFleet, storeFleet } from './seed-fleet.js';
import type { FromSeed, SeededExperts, ToSeed } from './seed-process.js';
import { registerZoo, storeZoo } from './seed-zoo.js';
import { waitUntilAnswering } from './wait-until-answering.js';
import { zooFolder } from './zoo-index.js';

/** How long the first election of a writer may take, milliseconds; on Kafka the group that elects must form first. */
const ELECTION_MS = 60_000;

let seeded: SeededExperts = { experts: [], remoteExperts: [] };

process.on('disconnect', () => process.exit(1));
process.on('message', (message: ToSeed) => {
  void work(message).then(
    (answer) => process.send?.(answer),
    (fault: unknown) => {
      const { code, message: text, cause } = toThalamusError(fault);
      const said = code === 'INTERNAL' && cause instanceof Error ? cause.message : text;
      process.send?.({ kind: 'failed', code, message: said } satisfies FromSeed);
    },
  );
});

async function work(message: ToSeed): Promise<FromSeed> {
  switch (message.kind) {
    case 'store': {
      const store = new FolderArtifactStore(message.artifactsFolder);
      await storeZoo(zooFolder(), store);
      if (message.fleet) await storeFleet(zooFolder(), store);
      break;
    }
    case 'register':
      seeded = await whileElecting(ELECTION_MS, () => register(message));
      break;
    case 'wait':
      await waitUntilAnswering({ ...message, ...seeded });
  }
  return { kind: 'done', ...seeded };
}

async function register(message: Extract<ToSeed, { kind: 'register' }>): Promise<SeededExperts> {
  const { updaterAddress, artifactsFolder, replayUrl } = message;
  const experts = await registerZoo(zooFolder(), updaterAddress);
  if (replayUrl === undefined) return { experts, remoteExperts: [] };
  const store = new FolderArtifactStore(artifactsFolder);
  const place = { updaterAddress, baseUrl: replayUrl };
  return { experts, remoteExperts: await registerFleet(zooFolder(), store, place) };
}
