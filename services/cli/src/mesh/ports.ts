import { ThalamusError } from '@thalamus/errors';
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Ports of a mesh when nothing else is asked for. */
export const DEFAULT_PORTS = { http: 8080, grpc: 8081, replay: 8082 } as const;

/** Checks that a port is free. @throws PORT_IN_USE that names the option to change it */
export async function requireFreePort(host: string, port: number, option: string): Promise<void> {
  const taken = await listenOnce(host, port).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (taken !== undefined)
    throw new ThalamusError(
      'PORT_IN_USE',
      `Port ${port} on ${host} is taken. Stop the other program, or choose another port with ${option}; 0 picks a free one.`,
      { cause: taken },
    );
}

/** Below the ports that systems give to outgoing connections, one of which could take a port before its service does. */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_767;
const MAX_TRIES = 1_000;

/** Ports that nobody listens on now, none of `except`. @throws PORT_IN_USE when hardly any is left */
export async function freePorts(
  host: string,
  count: number,
  except: readonly number[] = [],
): Promise<number[]> {
  const found = new Set<number>();
  for (let tries = 0; found.size < count; tries += 1) {
    const port = randomInt(FIRST_PORT, LAST_PORT + 1);
    if (tries >= MAX_TRIES)
      throw new ThalamusError(
        'PORT_IN_USE',
        `Of ${MAX_TRIES} ports from ${FIRST_PORT} to ${LAST_PORT} on ${host} fewer than ${count} are free, or ${host} is no address of this machine. Stop other programs, or choose another address with --host.`,
      );
    if (found.has(port) || except.includes(port)) continue;
    const isFree = await listenOnce(host, port).then(
      () => true,
      () => false,
    );
    if (isFree) found.add(port);
  }
  return [...found];
}

function listenOnce(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, host, () => {
      server.close(() => {
        resolve();
      });
    });
  });
}
