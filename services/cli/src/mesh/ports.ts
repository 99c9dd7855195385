import { ThalamusError } from '@thalamus/errors';
import { createServer, type AddressInfo } from 'node:net';

/** Ports of a mesh when nothing else is asked for. */
export const DEFAULT_PORTS = { http: 8080, grpc: 8081 } as const;

/** Checks that a port is free. @throws PORT_IN_USE that names the option to change it */
export async function requireFreePort(host: string, port: number, option: string): Promise<void> {
  const taken = await listenOnce(host, port).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (taken !== undefined)
    throw new ThalamusError(
      'PORT_IN_USE',
      `Port ${port} on ${host} is taken. Stop the other program, or choose another port with ${option}.`,
      { cause: taken },
    );
}

/** Ports that nobody listens on now. */
export async function freePorts(host: string, count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject);
          server.listen(0, host, () => {
            resolve((server.address() as AddressInfo).port);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
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
