import { getSdk } from '@thalamus/telemetry';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { listen } from './listen.js';

/** What probes are told. */
export interface Readiness {
  readonly ready: boolean;
  /** What is missing, by component. */
  readonly reasons: readonly string[];
}

/** Serves GET /metrics, /healthz (the process is alive) and /readyz (it accepts work) on a port of its own. */
export class OpsServer {
  private readonly server: Server;

  constructor(
    private readonly options: { readonly host: string; readonly port: number },
    private readonly readiness: () => Readiness,
  ) {
    this.server = createServer((request, response) => {
      this.answer(request, response);
    });
  }

  /** Port that the server listens on. */
  get port(): number {
    return (this.server.address() as AddressInfo | null)?.port ?? 0;
  }

  /** @throws PORT_IN_USE when the address cannot be bound. */
  start(): Promise<void> {
    const { host, port } = this.options;
    return listen(this.server, { host, port, setting: 'THALAMUS_OPS_PORT' });
  }

  /** Stops listening and closes idle and open connections. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.server.close(() => {
        resolve();
      });
      this.server.closeAllConnections();
    });
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? '/').split('?')[0];
    if (request.method !== 'GET' && request.method !== 'HEAD')
      send(response, 405, 'Only GET is answered here.\n');
    else if (path === '/metrics') {
      const sdk = getSdk();
      if (sdk) void sdk.answerScrape(response);
      else
        send(
          response,
          503,
          'Metrics are off: start the service with --import @thalamus/telemetry/register.\n',
        );
    } else if (path === '/healthz') send(response, 200, 'alive\n');
    else if (path === '/readyz') {
      const { ready, reasons } = this.readiness();
      send(response, ready ? 200 : 503, ready ? 'ready\n' : `not ready: ${reasons.join('; ')}\n`);
    } else send(response, 404, 'Known paths: /metrics, /healthz, /readyz.\n');
  }
}

function send(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(text);
}
