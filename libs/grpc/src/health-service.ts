import type { MessageInitShape } from '@bufbuild/protobuf';
import { health } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { CallContext } from './call-context.js';
import type { ServiceImplementation } from './service-implementation.js';

type Status = health.HealthCheckResponse_ServingStatus;
const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = health.HealthCheckResponse_ServingStatus;

/**
 * grpc.health.v1: Check, Watch and List. A watcher hears every change; when the server drains, it hears NOT_SERVING and its
 * stream ends, so that no watcher holds the server back.
 */
export class HealthService implements ServiceImplementation<typeof health.Health> {
  private readonly statuses = new Map<string, Status>();
  private readonly listeners = new Set<() => void>();
  private closed = false;

  /** Begins with every name NOT_SERVING; the empty name is the whole server. */
  constructor(names: readonly string[]) {
    for (const name of ['', ...names]) this.statuses.set(name, NOT_SERVING);
  }

  /** Sets one name. */
  set(name: string, serving: boolean): void {
    this.statuses.set(name, serving ? SERVING : NOT_SERVING);
    this.tell();
  }

  /** Ends: every name is NOT_SERVING from now on, and watches end once they have said so. */
  close(): void {
    for (const name of this.statuses.keys()) this.statuses.set(name, NOT_SERVING);
    this.closed = true;
    this.tell();
  }

  check(request: health.HealthCheckRequest) {
    const status = this.statuses.get(request.service);
    if (status === undefined) {
      throw new ThalamusError(
        'RESOURCE_NOT_FOUND',
        'This server has no such service; an empty name asks for the whole server, List names them all.',
      );
    }
    return Promise.resolve({ status });
  }

  list() {
    const statuses = Object.fromEntries([...this.statuses].map(([name, status]) => [name, { status }]));
    return Promise.resolve({ statuses });
  }

  async *watch(
    request: health.HealthCheckRequest,
    context: CallContext,
  ): AsyncIterable<MessageInitShape<typeof health.HealthCheckResponseSchema>> {
    let told: Status | undefined;
    while (!context.signal.aborted) {
      const status = this.statuses.get(request.service) ?? SERVICE_UNKNOWN;
      if (status !== told) {
        told = status;
        yield { status };
      } else if (this.closed) return;
      else await this.change(context.signal);
    }
  }

  private tell(): void {
    for (const listener of [...this.listeners]) listener();
  }

  private async change(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        this.listeners.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.listeners.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }
}
