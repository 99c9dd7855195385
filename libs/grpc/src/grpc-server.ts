import { Server, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { ThalamusError } from '@thalamus/errors';
import { HealthImplementation } from 'grpc-health-check';
import { packageDefinition, serviceDefinition } from './definition.js';
import { serveCall } from './serve-call.js';
import type { BoundService } from './service-implementation.js';

/** Largest message that servers and clients accept, in bytes. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** How a server is made. */
export interface GrpcServerOptions {
  /** Address to listen on. */
  readonly host: string;
  /** Port; 0 picks a free one. */
  readonly port: number;
  readonly services: readonly BoundService[];
  /** Server reflection, v1 and v1alpha. Default true. */
  readonly reflection?: boolean;
}

/**
 * A gRPC server with health (Check and Watch) and reflection, and a bounded end: readiness is withdrawn first, calls in
 * flight finish, then connections close; what is still open at the deadline is cancelled.
 */
export class GrpcServer {
  private readonly server: Server;
  private readonly health: HealthImplementation;
  private readonly names: readonly string[];
  private active = 0;
  private idle: (() => void) | undefined;
  private boundPort = 0;

  constructor(private readonly options: GrpcServerOptions) {
    this.server = new Server({
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_connection_age_ms': 3_600_000,
      'grpc.max_connection_age_grace_ms': 30_000,
    });
    this.names = options.services.map(({ service }) => service.typeName);
    this.health = new HealthImplementation(
      Object.fromEntries(['', ...this.names].map((name) => [name, 'NOT_SERVING'])),
    );
    for (const bound of options.services) this.add(bound);
    this.health.addToServer(this.server);
    if (options.reflection ?? true) {
      const described = packageDefinition(options.services.map(({ service }) => service));
      new ReflectionService(described as never).addToServer(this.server);
    }
  }

  /** Port that the server listens on; 0 before `start`. */
  get port(): number {
    return this.boundPort;
  }

  /**
   * Listens and reports SERVING.
   * @throws PORT_IN_USE when the address cannot be bound.
   */
  async start(): Promise<void> {
    const address = `${this.options.host}:${this.options.port}`;
    this.boundPort = await new Promise<number>((resolve, reject) => {
      this.server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
        if (!error) resolve(port);
        else {
          const text = `Cannot listen on ${address}: the address is taken or not allowed. Stop the other program or choose another port.`;
          reject(new ThalamusError('PORT_IN_USE', text, { cause: error, metadata: { address } }));
        }
      });
    });
    this.setServing('', true);
    for (const name of this.names) this.setServing(name, true);
  }

  /** Sets the health of a service; the empty name stands for the whole server. */
  setServing(name: string, serving: boolean): void {
    this.health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
  }

  /** Reports NOT_SERVING, lets calls in flight finish for at most `deadlineMs`, then closes. */
  async drain(deadlineMs: number): Promise<void> {
    this.setServing('', false);
    for (const name of this.names) this.setServing(name, false);
    const closed = new Promise<void>((resolve) => {
      this.server.tryShutdown(() => {
        resolve();
      });
    });
    await this.waitForIdle(deadlineMs);
    // What is left now: health watches, reflection streams, and calls that outlived the deadline.
    const grace = new Promise((resolve) => setTimeout(resolve, 50).unref());
    await Promise.race([closed, grace]);
    this.server.forceShutdown();
  }

  private add(bound: BoundService): void {
    const counter = {
      started: () => {
        this.active += 1;
      },
      ended: () => {
        this.active -= 1;
        if (this.active === 0) this.idle?.();
      },
    };
    const handlers = bound.service.methods.map((method) => [
      method.name,
      serveCall(method, bound.handler(method.localName), counter),
    ]);
    this.server.addService(
      serviceDefinition(bound.service),
      Object.fromEntries(handlers) as UntypedServiceImplementation,
    );
  }

  private async waitForIdle(deadlineMs: number): Promise<void> {
    if (this.active === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, deadlineMs);
      this.idle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
