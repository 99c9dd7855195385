import { RemoteArtifactStore } from './remote-artifact-store.js';
import { FolderArtifactStore, type ArtifactStore } from '@thalamus/bundle';
import { artifactV1 } from '@thalamus/contracts';
import { EmbeddedEventBus, KafkaEventBus, type EventBus } from '@thalamus/events';
import { createClient } from '@thalamus/grpc';

/** Settings that choose the event bus. */
export interface BusSettings {
  readonly bus: 'embedded' | 'kafka';
  readonly busFile: string;
  readonly kafkaBrokers: readonly string[];
  readonly kafkaConnectTimeoutMs: number;
}

/** The event bus that the settings name; the caller starts it. */
export function eventBusFor(settings: BusSettings, clientId: string): EventBus {
  if (settings.bus === 'embedded') return new EmbeddedEventBus({ file: settings.busFile });
  return new KafkaEventBus({
    brokers: [...settings.kafkaBrokers],
    clientId,
    connectTimeoutMs: settings.kafkaConnectTimeoutMs,
  });
}

/** Settings that choose the artifact store. */
export interface ArtifactSettings {
  readonly artifacts: 'folder' | 'updater';
  readonly artifactsFolder: string;
  readonly updaterAddress: string;
}

/** The artifact store that the settings name. */
export function artifactStoreFor(settings: ArtifactSettings): ArtifactStore {
  if (settings.artifacts === 'folder') return new FolderArtifactStore(settings.artifactsFolder);
  return new RemoteArtifactStore(
    createClient(artifactV1.ArtifactService, { address: settings.updaterAddress, defaultDeadlineMs: 10_000 }),
  );
}
