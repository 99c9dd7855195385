import { METRICS, oipErrorJson, RPC_METADATA, type OipCalls, type OipReply } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { localContext, type CallContext } from '@thalamus/grpc';
import { listen, type ServiceComponent } from '@thalamus/lifecycle';
import { createLogger, histogram } from '@thalamus/telemetry';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerUnreadable } from './answer-unreadable.js';
import { BodyBudget } from './body-budget.js';
import { findRoute, type FoundRoute } from './find-route.js';
import { HttpExchange } from './http-exchange.js';

/** Where it listens, and its bounds. */
export interface OipHttpOptions {
  readonly host: string;
  readonly port: number;
  readonly maxBodyBytes: number;
  readonly requestTimeoutMs: number;
}

/** The Open Inference Protocol v2 over HTTP: the same calls as over gRPC, in the form that Triton has. */
export class OipHttpServer implements ServiceComponent {
  readonly name = 'HTTP server';
  private readonly server: Server;
  private readonly budget: BodyBudget;
  private readonly drainStarts = new AbortController();
  private readonly logger = createLogger('http');
  private readonly duration = histogram(METRICS.httpServerDuration);

  constructor(
    private readonly calls: OipCalls<CallContext>,
    private readonly options: OipHttpOptions,
  ) {
    this.budget = new BodyBudget(options.maxBodyBytes);
    this.server = createServer({ requestTimeout: options.requestTimeoutMs }, (request, response) => {
      void this.serve(request, response);
    });
    this.server.on('clientError', answerUnreadable);
  }

  /** Port that it listens on. */
  get port(): number {
    return (this.server.address() as AddressInfo | null)?.port ?? 0;
  }

  /** @throws PORT_IN_USE */
  start(): Promise<void> {
    const { host, port } = this.options;
    return listen(this.server, { host, port, setting: 'THALAMUS_HTTP_PORT' });
  }

  /** Takes no new connections; those in flight may end within the time, then all are closed. */
  async drain(deadlineMs: number): Promise<void> {
    this.drainStarts.abort();
    const closed = new Promise<void>((resolve) => {
      this.server.close(() => {
        resolve();
      });
      this.server.closeIdleConnections();
    });
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadlineMs);
    });
    await Promise.race([closed, limit]);
    clearTimeout(timer);
    this.server.closeAllConnections();
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let found: FoundRoute | undefined;
    let missing: unknown;
    try {
      found = findRoute(request.method ?? '', request.url ?? '');
    } catch (fault) {
      missing = fault;
    }
    const exchange = new HttpExchange(request, response, {
      route: found?.route.path ?? 'none',
      timeoutMs: this.options.requestTimeoutMs,
      duration: this.duration,
    });
    await exchange.run(async () => {
      try {
        if (!found) throw missing;
        refusePages(request);
        const reply = await this.answer(request, response, found, exchange);
        this.send(request, response, reply);
      } catch (fault) {
        const error = toThalamusError(fault);
        exchange.fail(error);
        if (error.code === 'INTERNAL' || error.cause !== undefined)
          this.logger.warn(
            { route: found?.route.path, code: error.code, error: error.cause },
            'request failed',
          );
        this.send(request, response, errorReply(error));
      }
    });
  }

  private send(
    request: IncomingMessage,
    response: ServerResponse,
    { status, headers, body }: OipReply,
  ): void {
    if (response.headersSent || response.destroyed) return;
    // A connection that stayed open would hold up the drain.
    if (this.drainStarts.signal.aborted) response.setHeader('connection', 'close');
    response.writeHead(status, { ...headers, 'content-length': body.byteLength });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  private async answer(
    request: IncomingMessage,
    response: ServerResponse,
    { route, model, version }: FoundRoute,
    exchange: HttpExchange,
  ): Promise<OipReply> {
    const { maxBodyBytes } = this.options;
    const { body, release } = await exchange.orAborted(this.budget.read(request, exchange.signal));
    exchange.onEnd(release);
    const question = { model, version, headers: request.headers, body, maxBodyBytes };
    const context: CallContext = {
      ...localContext({
        signal: exchange.signal,
        draining: this.drainStarts.signal,
        deadlineMs: exchange.remainingMs(),
      }),
      tenant: String(request.headers[RPC_METADATA.tenant] ?? ''),
      setTrailer: (key, value) => response.setHeader(key, value),
    };
    return exchange.orAborted(route.answer(this.calls, question, context));
  }
}

/**
 * Nobody is asked for a key here, so that pages of other sites must not get in through the browser of someone who can reach the
 * port: what browsers send across sites has an Origin, what clients send has none. @throws PERMISSION_DENIED
 */
function refusePages({ headers }: IncomingMessage): void {
  if (headers.origin === undefined) return;
  throw new ThalamusError(
    'PERMISSION_DENIED',
    'Pages in browsers are not answered here; ask the gateway, which asks for a key.',
  );
}

function errorReply(error: ThalamusError): OipReply {
  const { allow } = error.metadata;
  return {
    status: error.spec.http,
    headers: {
      'content-type': 'application/json',
      ...(error.retryAfterMs === undefined
        ? {}
        : { 'retry-after': String(Math.ceil(error.retryAfterMs / 1000)) }),
      ...(error.code === 'METHOD_NOT_ALLOWED' && allow !== undefined ? { allow } : {}),
    },
    body: Buffer.from(JSON.stringify(oipErrorJson(error))),
  };
}
