import { runService } from '@thalamus/lifecycle';
import { AppModule } from './app.module.js';
import { updaterSettings } from './config.js';

await runService({
  name: 'updater',
  summary: 'keeps the registry, artifacts and jobs, and compares and promotes versions',
  settings: updaterSettings,
  module: (settings) => AppModule.register(settings),
});
