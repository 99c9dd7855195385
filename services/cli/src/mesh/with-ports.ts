import { ThalamusError } from '@thalamus/errors';
import { REPLAY_HOST, type UpOptions } from './plan.js';
import { DEFAULT_PORTS, freePorts, requireFreePort } from './ports.js';

/** Checks the ports that were asked for; 0 becomes a free one. @throws PORT_IN_USE, CONFIG_INVALID */
export async function withPorts(options: UpOptions): Promise<UpOptions> {
  const { host, httpPort, grpcPort, replay } = options;
  const asked: readonly AskedPort[] = [
    [host, '--port', httpPort],
    [host, '--grpc-port', grpcPort],
    [REPLAY_HOST, '--replay-port', replay?.port ?? 0],
  ];
  requireDifferent(asked);
  for (const [where, option, port] of asked) if (port !== 0) await requireFreePort(where, port, option);
  const numbers = asked.map(([, , port]) => port);
  const [freeHttp = 0, freeGrpc = 0] = await freePorts(host, 2, numbers);
  const chosen = { ...options, httpPort: httpPort || freeHttp, grpcPort: grpcPort || freeGrpc };
  if (!replay) return chosen;
  // Who wants any free port for callers runs several meshes: they would race for the usual one.
  const wanted = replay.port ?? (httpPort === 0 ? 0 : undefined);
  const port = await replayPort(wanted, [chosen.httpPort, chosen.grpcPort]);
  return { ...chosen, replay: { ...replay, port } };
}

type AskedPort = readonly [host: string, option: string, port: number];

/** The port that was asked for; when none was, the usual one if nobody has it. */
async function replayPort(asked: number | undefined, taken: readonly number[]): Promise<number> {
  if (asked) return asked;
  const usual = DEFAULT_PORTS.replay;
  if (asked === undefined && !taken.includes(usual)) {
    const isFree = await requireFreePort(REPLAY_HOST, usual, '--replay-port').then(
      () => true,
      () => false,
    );
    if (isFree) return usual;
  }
  const [free = 0] = await freePorts(REPLAY_HOST, 1, taken);
  return free;
}

function requireDifferent(ports: readonly AskedPort[]): void {
  for (const [index, [, option, port]] of ports.entries()) {
    const other = ports.slice(0, index).find(([, , taken]) => taken === port && port !== 0);
    if (other)
      throw new ThalamusError(
        'CONFIG_INVALID',
        `${other[1]} and ${option} are both ${port}; they must differ.`,
      );
  }
}
