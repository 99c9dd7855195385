import { runService } from '@thalamus/lifecycle';
import { AppModule } from './app.module.js';
import { gatewaySettings, type GatewaySettings } from './config.js';
import { httpApplication } from './http-application.js';

await runService({
  name: 'gateway',
  summary: 'the front door: HTTP and gRPC, keys, limits, routing and answers',
  settings: gatewaySettings,
  module: (settings: GatewaySettings) => AppModule.register(settings),
  createApplication: (module, settings) => httpApplication(module, settings),
});
