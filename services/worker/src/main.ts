import { runService } from '@thalamus/lifecycle';
import { AppModule } from './app.module.js';
import { workerSettings } from './config.js';

await runService({
  name: 'worker',
  summary: 'claims jobs and runs them in child processes: trains experts, evaluates versions',
  settings: workerSettings,
  module: (settings) => AppModule.register(settings),
});
