import { Option, type Command } from 'commander';
import { toThalamusError } from '@thalamus/errors';
import { resolve } from 'node:path';
import { EXIT } from '../exit-codes.js';
import { collect, dataFolderOption, numberIn, verb, wholeNumber } from '../mesh-command.js';
import { onInterrupt } from '../interruption.js';
import { giveBackMemory } from '../mesh/give-back-memory.js';
import { launchMesh, type RunningMesh } from '../mesh/launch-mesh.js';
import type { UpOptions } from '../mesh/plan.js';
import { DEFAULT_PORTS } from '../mesh/ports.js';
import { banner } from '../mesh/banner.js';
import { createOutput } from '../output.js';
import { InterruptCounter } from '../interrupt-counter.js';

interface Options {
  readonly host: string;
  readonly port: number;
  readonly grpcPort: number;
  readonly data: string;
  readonly kafka?: string;
  readonly otlp?: string;
  readonly logLevel: string;
  readonly fleet: boolean;
  readonly replayPort?: number;
  readonly replayPace: number;
  readonly allowUpstream?: string[];
  readonly json: boolean;
  readonly once: boolean;
}

/** `thalamus up`: the whole mesh on this machine. */
export function upCommand(): Command {
  const port = wholeNumber(0, 65_535);
  return verb('up', 'start the whole mesh on this machine with zoo and fleet of experts; Ctrl-C ends it', [
    'thalamus up',
    'thalamus up --no-fleet',
    'thalamus up --port 0 --grpc-port 0 --data ./try --json',
    'thalamus up --kafka broker-1:9092,broker-2:9092',
  ])
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', 'port of the HTTP API; 0 picks a free one', port, DEFAULT_PORTS.http)
    .option('--grpc-port <port>', 'port of the gRPC API; 0 picks a free one', port, DEFAULT_PORTS.grpc)
    .addOption(dataFolderOption('--data', 'folder for all state'))
    .option('--kafka <brokers>', 'use this Kafka instead of the embedded log, host:port,...')
    .option('--otlp <url>', 'send traces to this OTLP/HTTP endpoint')
    .option('--no-fleet', 'leave out the remote models, whose recorded answers an upstream replays')
    .option(
      '--replay-port <port>',
      `port of that upstream, on loopback; 0 picks a free one, which --port 0 does too; default: ${DEFAULT_PORTS.replay}, or a free one when that is taken`,
      port,
    )
    .option(
      '--replay-pace <factor>',
      'factor on the time that replayed answers take; 0: they come at once',
      numberIn(0, 100),
      1,
    )
    .option(
      '--allow-upstream <address>',
      'host:port of a remote expert that is not on the public internet; may be repeated',
      collect,
    )
    .addOption(
      new Option('--log-level <level>', 'least severe lines in the logs of the services')
        .choices(['debug', 'info', 'warn', 'error'])
        .default('info'),
    )
    .option('--json', 'print the addresses as one JSON line', false)
    .option('--once', 'start, print how long it took, and stop', false)
    .action(run);
}

async function run(options: Options): Promise<void> {
  const startedAt = performance.now();
  const output = createOutput(options.json);
  const launch = new AbortController();
  let mesh: RunningMesh | undefined;
  const isInterrupted = stopOnInterrupt(() => mesh, launch);
  try {
    mesh = await launchMesh(upOptions(options), {
      progress: (text) => {
        if (!isInterrupted()) output.note(`  … ${text}`);
      },
      report: (text) => process.stderr.write(`thalamus: ${text}\n`),
      signal: launch.signal,
    });
  } catch (fault) {
    if (isInterrupted()) process.exit(EXIT.interrupted);
    throw toThalamusError(fault);
  }
  if (isInterrupted()) {
    await mesh.stop();
    process.exit(EXIT.interrupted);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  if (options.json)
    process.stdout.write(
      `${JSON.stringify({ ready: true, seconds, experts: mesh.experts, remoteExperts: mesh.remoteExperts, ...mesh.file })}\n`,
    );
  else process.stdout.write(banner(mesh, seconds));
  if (options.once) {
    await mesh.stop();
    process.exit(EXIT.ok);
  }
  giveBackMemory();
}

function upOptions(options: Options): UpOptions {
  return {
    host: options.host,
    httpPort: options.port,
    grpcPort: options.grpcPort,
    dataFolder: resolve(options.data),
    kafkaBrokers: options.kafka,
    otlpEndpoint: options.otlp,
    logLevel: options.logLevel,
    allowedUpstreams: options.allowUpstream ?? [],
    replay: options.fleet ? { port: options.replayPort, pace: options.replayPace } : undefined,
  };
}

/** The first Ctrl-C ends the mesh in order, a later one at once; one that comes while it starts ends the start. */
function stopOnInterrupt(mesh: () => RunningMesh | undefined, launch: AbortController): () => boolean {
  const counter = new InterruptCounter(() => performance.now());
  const handle = () => {
    const running = mesh();
    switch (counter.press()) {
      case 'first':
        process.stderr.write('\nStopping the mesh; once more ends it at once.\n');
        launch.abort();
        if (running)
          void running.stop().then(() => {
            process.exit(EXIT.ok);
          });
        return;
      case 'echo':
        return;
      case 'again':
        running?.kill();
        process.exit(EXIT.interrupted);
    }
  };
  onInterrupt(handle);
  return () => counter.isPressed;
}
