import { runService } from '@thalamus/lifecycle';
import { AppModule } from './app.module.js';
import { routerSettings } from './config.js';

await runService({
  name: 'router',
  summary: 'predicts the loss of every expert for a prompt and ranks them under the caller’s constraints',
  settings: routerSettings,
  module: (settings) => AppModule.register(settings),
});
