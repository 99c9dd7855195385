import {
  logVerbosity,
  Server,
  ServerCredentials,
  setLogVerbosity,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { health, rpcDetails } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { setTimeout as sleep } from 'node:timers/promises';
import { byteServiceDefinition, packageDefinition } from './definition.js';
import { HealthService } from './health-service.js';
import { MAX_MESSAGE_BYTES } from './limits.js';
import { serveCall } from './serve-call.js';
import { implementService, type BoundService } from './service-implementation.js';

/** How long a drained server waits for its last bytes to be taken, at most, in milliseconds. */
const FLUSH_MS = 1_000;
const CONNECTION_AGE_MS = 300_000;
/** How long calls that were begun on a connection may go on when it takes no new ones, in milliseconds. */
const OLD_CONNECTION_MS = 3_600_000;

// grpc-js writes to standard error by itself, past our logger; what fails is thrown, answered or measured anyway.
setLogVerbosity(logVerbosity.NONE);

/** How a server is made. */
export interface GrpcServerOptions {
  /** Address to listen on. */
  readonly host: string;
  /** Port; 0 picks a free one. */
  readonly port: number;
  readonly services: readonly BoundService[];
  /** Server reflection, v1 and v1alpha. Default true. */
  readonly reflection?: boolean;
  /**
   * How long a connection takes new calls, in milliseconds, give or take a tenth. Clients look their address up again when a
   * connection ends: that is how they find a replica that was added. Default 300,000.
   */
  readonly connectionAgeMs?: number;
}

/**
 * A gRPC server with health (Check and Watch) and reflection, and a bounded end: readiness is withdrawn first, calls in
 * flight finish, then connections close; what is still open at the deadline is cancelled.
 */
export class GrpcServer {
  private readonly server: Server;
  private readonly health: HealthService;
  private readonly names: readonly string[];
  private readonly drainer = new AbortController();
  private active = 0;
  private idle: (() => void) | undefined;
  private boundPort = 0;

  constructor(private readonly options: GrpcServerOptions) {
    this.server = new Server({
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_connection_age_ms': options.connectionAgeMs ?? CONNECTION_AGE_MS,
      'grpc.max_connection_age_grace_ms': OLD_CONNECTION_MS,
    });
    this.names = options.services.map(({ service }) => service.typeName);
    this.health = new HealthService(this.names);
    for (const bound of options.services) this.add(bound, false);
    this.add(implementService(health.Health, this.health), true);
    if (options.reflection ?? true) {
      const described = [...options.services.map(({ service }) => service), health.Health];
      const names = described.map(({ typeName }) => typeName);
      // Clients such as grpcurl can then show the details of an error.
      const definition = packageDefinition(described, [rpcDetails.file_google_rpc_error_details]);
      // The package wants the type of @grpc/proto-loader; it reads nothing but the file descriptors.
      new ReflectionService(definition as never, { services: names }).addToServer(this.server);
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
          const text = `Cannot listen on ${address}: the address is taken or not allowed. Stop the other program, or set THALAMUS_GRPC_PORT to another port.`;
          reject(new ThalamusError('PORT_IN_USE', text, { cause: error, metadata: { address } }));
        }
      });
    });
    this.setServing('', true);
    for (const name of this.names) this.setServing(name, true);
  }

  /** Sets the health of a service; the empty name stands for the whole server. */
  setServing(name: string, serving: boolean): void {
    this.health.set(name, serving);
  }

  /** Reports NOT_SERVING while calls are still taken, so that balancers stop sending them here. */
  withdraw(): void {
    this.setServing('', false);
    for (const name of this.names) this.setServing(name, false);
  }

  /**
   * Reports NOT_SERVING and ends watches, takes no new connection, lets calls in flight finish for at most `deadlineMs`,
   * then closes; what is still open is cancelled.
   */
  async drain(deadlineMs: number): Promise<void> {
    const until = Date.now() + deadlineMs;
    this.health.close();
    this.drainer.abort();
    const closed = new Promise<void>((resolve) => {
      this.server.tryShutdown(() => {
        resolve();
      });
    });
    await this.waitForIdle(deadlineMs);
    // Handlers have ended; their last bytes may still be on the way, and a reflection stream may be open for ever.
    const timer = new AbortController();
    const flush = sleep(Math.min(FLUSH_MS, Math.max(0, until - Date.now())), undefined, {
      signal: timer.signal,
    }).catch(() => undefined);
    await Promise.race([closed, flush]);
    timer.abort();
    this.server.forceShutdown();
  }

  private add(bound: BoundService, quiet: boolean): void {
    const options = {
      quiet,
      draining: this.drainer.signal,
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
      serveCall(method, bound.handler(method.localName), options),
    ]);
    this.server.addService(
      byteServiceDefinition(bound.service),
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
