import { emptyBroker, kafkaBrokers } from './bus.js';
import { launchMesh, type LaunchedMesh, type LaunchOptions, type Mesh } from './mesh.js';
import { startServices } from './service-mesh.js';

/**
 * A fresh mesh for a suite: on the embedded log what `thalamus up` starts; on Kafka every service by itself, with a data folder
 * of its own.
 */
export async function startMesh(): Promise<Mesh> {
  const brokers = kafkaBrokers();
  if (brokers === undefined) return launchMesh();
  await emptyBroker(brokers);
  return startServices(brokers);
}

/** A fresh mesh that `thalamus up` starts, on the bus of this run: for what the launcher itself promises. */
export async function launchFresh(options: LaunchOptions = {}): Promise<LaunchedMesh> {
  const brokers = kafkaBrokers();
  if (brokers !== undefined) await emptyBroker(brokers);
  return launchMesh({ ...options, kafkaBrokers: brokers });
}

/** Starts the mesh of a data folder again, on the bus of this run. */
export function launchAgain(dataFolder: string): Promise<LaunchedMesh> {
  return launchMesh({ dataFolder, kafkaBrokers: kafkaBrokers() });
}
