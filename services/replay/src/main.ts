import { loadSettings } from '@thalamus/config';
import { toThalamusError } from '@thalamus/errors';
import { environment, replaySettings } from './config.js';
import { Recordings } from './recordings.js';
import { ReplayServer } from './replay-server.js';

try {
  const settings = loadSettings(replaySettings, environment());
  const server = new ReplayServer(Recordings.read(settings.recordings), settings);
  const address = await server.start();
  const stop = () => {
    void server.close().then(() => process.exit(0));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  if (process.send) process.on('disconnect', stop);
  process.send?.({ kind: 'ready', address });
} catch (fault) {
  const { code, message } = toThalamusError(fault);
  process.stderr.write(`replay: ${message}\n`);
  if (process.send)
    process.send({ kind: 'failed', code, message }, undefined, undefined, () => process.exit(1));
  else process.exit(1);
}
