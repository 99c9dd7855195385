import { describeSettings, loadSettings } from '@thalamus/config';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { environment, replaySettings } from './config.js';
import { Recordings } from './recordings.js';
import { ReplayServer } from './replay-server.js';

const SUMMARY = 'an OpenAI-compatible server that replays recorded answers';

if (process.argv.includes('--help')) process.stdout.write(helpText());
else await run();

async function run(): Promise<void> {
  try {
    const [extra] = process.argv.slice(2);
    if (extra !== undefined)
      throw new ThalamusError(
        'CONFIG_INVALID',
        `Unknown argument ${extra}: settings come from the environment; --help lists them.`,
      );
    const settings = loadSettings(replaySettings, environment());
    const server = new ReplayServer(Recordings.read(settings.recordings), settings);
    const address = await server.start();
    const stop = () => {
      void server.close().then(() => process.exit(0));
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    if (process.send) process.on('disconnect', stop);
    process.stdout.write(`replay: answers at ${address}\n`);
    process.send?.({ kind: 'ready', address });
    // Reading the recordings leaves much behind.
    globalThis.gc?.({ type: 'major', flavor: 'last-resort', execution: 'sync' });
  } catch (fault) {
    const { code, message } = toThalamusError(fault);
    process.stderr.write(`replay: ${message}\n`);
    const end = () => process.exit(1);
    if (process.send) process.send({ kind: 'failed', code, message }, undefined, undefined, end);
    else end();
  }
}

function helpText(): string {
  const rows = describeSettings(replaySettings).map(({ variable, description, defaultText }) => {
    const value = defaultText === undefined ? 'required' : `default: ${defaultText}`;
    return `  ${variable.padEnd(20)}  ${description} [${value}]`;
  });
  return `thalamus replay: ${SUMMARY}\n\nSettings (environment variables):\n${rows.join('\n')}\n`;
}
