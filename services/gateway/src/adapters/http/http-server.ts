import type { INestApplication } from '@nestjs/common';
import { ThalamusError } from '@thalamus/errors';
import type { ServiceComponent } from '@thalamus/lifecycle';
import type { FastifyInstance } from 'fastify';
import type { AddressInfo } from 'node:net';

/** Listens once everything behind it runs; drains by refusing new connections and waiting for those in flight. */
export class HttpServer implements ServiceComponent {
  readonly name = 'HTTP server';
  private application: INestApplication | undefined;

  private readonly drainStarts = new AbortController();

  constructor(private readonly options: { readonly host: string; readonly port: number }) {}

  /** Set once by the composition root, when Nest has made the application. */
  attach(application: INestApplication): void {
    this.application = application;
  }

  /** Fires when the server begins to drain. */
  get draining(): AbortSignal {
    return this.drainStarts.signal;
  }

  /** The port it listens on. */
  get port(): number {
    return (this.fastify().server.address() as AddressInfo | null)?.port ?? 0;
  }

  /** @throws PORT_IN_USE */
  async start(): Promise<void> {
    const { host, port } = this.options;
    try {
      await this.fastify().listen({ host, port });
    } catch (cause) {
      throw new ThalamusError(
        'PORT_IN_USE',
        `Cannot listen on ${host}:${port}: the address is taken or not allowed. Stop the other program or choose another port.`,
        { cause, metadata: { address: `${host}:${port}` } },
      );
    }
  }

  async drain(deadlineMs: number): Promise<void> {
    this.drainStarts.abort();
    const { server } = this.fastify();
    const closed = new Promise<void>((resolve) => {
      server.close(() => {
        resolve();
      });
      server.closeIdleConnections();
    });
    const timer = new Promise<void>((resolve) => setTimeout(resolve, deadlineMs).unref());
    await Promise.race([closed, timer]);
    server.closeAllConnections();
  }

  private fastify(): FastifyInstance {
    if (!this.application) throw new TypeError('the HTTP server has no application');
    return this.application.getHttpAdapter().getInstance() as FastifyInstance;
  }
}
