export { collectGarbageSoon } from './collect-garbage.js';
export { ComponentHost } from './component-host.js';
export { listen, type ListenAddress } from './listen.js';
export { OpsServer, type Readiness } from './ops-server.js';
export {
  EXIT_FORCED,
  EXIT_START_FAILED,
  runService,
  type CommonSettings,
  type ServiceDefinition,
} from './run-service.js';
export { COMPONENTS, type ServiceComponent } from './service-component.js';
