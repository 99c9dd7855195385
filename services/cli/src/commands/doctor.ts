import type { Command } from 'commander';
import type * as actions from '../actions/doctor.js';
import { meshVerb, wholeNumber } from '../mesh-command.js';
import { DEFAULT_PORTS } from '../mesh/ports.js';

/** `thalamus doctor`: what is there, what runs, what it takes. */
export function doctorCommand(): Command {
  const port = wholeNumber(1, 65_535);
  return meshVerb('doctor', 'check this machine and the running mesh; exit code 4 when something is wrong', [
    'thalamus doctor',
    'thalamus doctor --json',
    'thalamus doctor --kafka broker-1:9092',
  ])
    .option('--port <port>', 'HTTP port that a mesh would take', port, DEFAULT_PORTS.http)
    .option('--grpc-port <port>', 'gRPC port that a mesh would take', port, DEFAULT_PORTS.grpc)
    .option('--kafka <brokers>', 'also ask these brokers, host:port,...; default: those of the running mesh')
    .action(async (...given: Parameters<typeof actions.run>) =>
      (await import('../actions/doctor.js')).run(...given),
    );
}
