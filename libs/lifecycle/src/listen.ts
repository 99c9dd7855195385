import { ThalamusError } from '@thalamus/errors';
import type { Server } from 'node:net';

/** An address to listen on. */
export interface ListenAddress {
  readonly host: string;
  /** 0 takes any that is free. */
  readonly port: number;
  /** Name of the setting that gives the port. */
  readonly setting: string;
}

/** Lets a server listen. @throws PORT_IN_USE when the address cannot be bound */
export function listen(server: Server, { host, port, setting }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const text = `Cannot listen on ${host}:${port}: the address is taken or not allowed. Stop the other program, or set ${setting} to another port.`;
      reject(new ThalamusError('PORT_IN_USE', text, { cause, metadata: { address: `${host}:${port}` } }));
    });
    server.listen(port, host, resolve);
  });
}
