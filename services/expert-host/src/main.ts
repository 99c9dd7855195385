import { runService } from '@thalamus/lifecycle';
import { AppModule } from './app.module.js';
import { hostSettings } from './config.js';

await runService({
  name: 'expert-host',
  summary: 'hosts experts and serves them over the Open Inference Protocol v2',
  settings: hostSettings,
  module: (settings) => AppModule.register(settings),
});
