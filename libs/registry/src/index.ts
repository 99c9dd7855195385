export { HostConnections, type HostClient } from './host-connections.js';
export { REGISTRY_HEAD_KEY, RegistryView, type RegistryListener } from './registry-view.js';
export { ResidencyView, type FleetHost, type Resident } from './residency-view.js';
export { RemoteArtifactStore } from './remote-artifact-store.js';
export {
  artifactStoreFor,
  eventBusFor,
  type ArtifactSettings,
  type BusSettings,
} from './platform-adapters.js';
