/**
 * The part of a start that needs the whole client side: checks and stores the zoo, registers it, and waits until the mesh
 * answers. A process of its own, so that its memory is gone when the mesh stands idle. It talks to the launcher over IPC.
 */
import { FolderArtifactStore } from '@thalamus/bundle';
import { toThalamusError } from '@thalamus/errors';
import { whileElecting } from '../retry.js';
import type { FromSeed, ToSeed } from './seed-process.js';
import { registerZoo, storeZoo, zooFolder } from './seed-zoo.js';
import { waitUntilAnswering } from './wait-until-answering.js';

/** How long the first election of a writer may take, milliseconds; on Kafka the group that elects must form first. */
const ELECTION_MS = 60_000;

let experts: readonly string[] = [];

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
    case 'store':
      await storeZoo(zooFolder(), new FolderArtifactStore(message.artifactsFolder));
      return { kind: 'done', experts };
    case 'register':
      experts = await whileElecting(ELECTION_MS, () => registerZoo(zooFolder(), message.updaterAddress));
      return { kind: 'done', experts };
    case 'wait':
      await waitUntilAnswering(message.http, message.grpc, experts, message.key);
      return { kind: 'done', experts };
  }
}
