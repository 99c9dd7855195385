import { runService } from '@thalamus/lifecycle';
import { AppModule } from './app.module.js';
import { composerSettings } from './config.js';

await runService({
  name: 'composer',
  summary:
    'fuses several experts into one self-contained graph, checks it against its parents and registers it',
  settings: composerSettings,
  module: (settings) => AppModule.register(settings),
});
