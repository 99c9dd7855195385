import { Command } from 'commander';
import { toThalamusError } from '@thalamus/errors';
import { setLogLevel } from '@thalamus/telemetry';
import { resolve } from 'node:path';
import { EXIT } from '../exit-codes.js';
import { wholeNumber } from '../mesh-command.js';
import { defaultDataFolder } from '../mesh/mesh-file.js';
import { launchMesh, type RunningMesh } from '../mesh/launch-mesh.js';
import { createOutput } from '../output.js';

interface Options {
  readonly host: string;
  readonly port: number;
  readonly grpcPort: number;
  readonly data: string;
  readonly kafka?: string;
  readonly otlp?: string;
  readonly logLevel: string;
  readonly json: boolean;
  readonly once: boolean;
}

/** `thalamus up`: the whole mesh on this machine. */
export function upCommand(): Command {
  const port = wholeNumber(1, 65_535);
  return (
    new Command('up')
      .description('start the whole mesh on this machine with the zoo of experts; Ctrl-C ends it')
      .option('--host <address>', 'address to listen on', '127.0.0.1')
      .option('--port <port>', 'port of the HTTP API', port, 8080)
      .option('--grpc-port <port>', 'port of the gRPC API', port, 8081)
      // eslint-disable-next-line no-restricted-syntax -- the command line is where its environment is read
      .option('--data <folder>', 'folder for all state', defaultDataFolder(process.env))
      .option('--kafka <brokers>', 'use this Kafka instead of the embedded log, host:port,...')
      .option('--otlp <url>', 'send traces to this OTLP/HTTP endpoint')
      .option('--log-level <level>', 'debug, info, warn or error', 'info')
      .option('--json', 'print the addresses as one JSON line', false)
      .option('--once', 'start, print how long it took, and stop', false)
      .action(run)
  );
}

async function run(options: Options): Promise<void> {
  const startedAt = performance.now();
  const output = createOutput(options.json);
  setLogLevel('warn');
  let mesh: RunningMesh | undefined;
  const interrupted = onInterrupt(() => mesh);
  const pending = launchMesh(
    {
      host: options.host,
      httpPort: options.port,
      grpcPort: options.grpcPort,
      dataFolder: resolve(options.data),
      kafkaBrokers: options.kafka,
      otlpEndpoint: options.otlp,
      logLevel: options.logLevel,
    },
    (text) => {
      if (!interrupted.yet()) output.note(`  … ${text}`);
    },
  );
  try {
    mesh = await pending;
  } catch (fault) {
    if (interrupted.yet()) process.exit(EXIT.ok);
    throw toThalamusError(fault);
  }
  if (interrupted.yet()) {
    await mesh.stop();
    process.exit(EXIT.ok);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  if (options.json)
    process.stdout.write(
      `${JSON.stringify({ ready: true, seconds, experts: mesh.experts, ...mesh.file })}\n`,
    );
  else process.stdout.write(banner(mesh, seconds));
  if (options.once) {
    await mesh.stop();
    process.exit(EXIT.ok);
  }
}

/** The first Ctrl-C ends the mesh in order, the second at once. While it starts, the end waits for the start to settle. */
function onInterrupt(mesh: () => RunningMesh | undefined): { yet: () => boolean } {
  let count = 0;
  const handle = () => {
    count += 1;
    const running = mesh();
    if (count > 1) {
      running?.kill();
      process.exit(130);
    }
    process.stderr.write('\nStopping the mesh; once more ends it at once.\n');
    if (running)
      void running.stop().then(() => {
        process.exit(EXIT.ok);
      });
  };
  process.on('SIGINT', handle);
  process.on('SIGTERM', handle);
  return { yet: () => count > 0 };
}

function banner({ file, experts }: RunningMesh, seconds: number): string {
  return `
  Thalamus is ready (${seconds.toFixed(1)} s): ${experts.length - 0} experts behind one door.

    HTTP   ${file.http}          OpenAPI at /openapi.json
    gRPC   ${file.grpc}                 Open Inference Protocol v2 and thalamus.gateway.v1
    key    ${file.keyFile}

  Try it:

    npx thalamus ask "I lost my card, please block it"
    curl -s ${file.http}/v1/classifications -H 'content-type: application/json' \\
      -d '{"input": "I lost my card, please block it", "thalamus": {"decision": true}}'
    grpcurl -plaintext -d '{"input": "Book a table for two"}' ${file.grpc} thalamus.gateway.v1.GatewayService/Classify

  Ctrl-C ends it.

`;
}
