import { ThalamusError } from '@thalamus/errors';
import type { Logger } from '@thalamus/telemetry';
import type { Readiness } from './ops-server.js';
import type { ServiceComponent } from './service-component.js';

/** How long a component may take beyond its drain limit, and to close, in milliseconds. */
const GRACE_MS = 5_000;

/** Starts components in order and ends them in reverse. */
export class ComponentHost {
  private started = false;
  private draining = false;
  private readonly running: ServiceComponent[] = [];

  constructor(
    private readonly components: readonly ServiceComponent[],
    private readonly logger: Logger,
  ) {}

  /** Starts each component after the one before; when one fails, those that run are closed again. */
  async start(): Promise<void> {
    for (const component of this.components) {
      try {
        await component.start?.();
        this.running.push(component);
      } catch (fault) {
        await this.closeAll();
        throw fault;
      }
    }
    this.started = true;
  }

  /** Ready when everything has started, nothing drains, and every component says so. */
  readiness(): Readiness {
    if (this.draining) return { ready: false, reasons: ['draining'] };
    if (!this.started) return { ready: false, reasons: ['starting'] };
    const reasons: string[] = [];
    for (const component of this.components) {
      const state = component.readiness?.();
      if (state && !state.ready) reasons.push(`${component.name}: ${state.reason ?? 'not ready'}`);
    }
    return { ready: reasons.length === 0, reasons };
  }

  /** Withdraws readiness, over HTTP and in gRPC health, waits the grace, drains every component within the deadline, then closes them. */
  async stop(drainMs: number, readinessGraceMs: number): Promise<void> {
    this.draining = true;
    for (const component of this.running) component.withdraw?.();
    if (readinessGraceMs > 0) await new Promise((resolve) => setTimeout(resolve, readinessGraceMs));
    const deadline = Date.now() + drainMs;
    for (const component of [...this.running].reverse()) {
      const leftMs = Math.max(0, deadline - Date.now());
      await this.guard(component, 'drain', leftMs + GRACE_MS, () => component.drain?.(leftMs));
    }
    await this.closeAll();
  }

  private async closeAll(): Promise<void> {
    for (const component of [...this.running].reverse())
      await this.guard(component, 'close', GRACE_MS, () => component.close?.());
    this.running.length = 0;
  }

  /** A component that fails to end, or takes too long, is logged; it never keeps the others from ending. */
  private async guard(
    component: ServiceComponent,
    step: string,
    limitMs: number,
    work: () => Promise<void> | undefined,
  ): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(new ThalamusError('DEADLINE_EXCEEDED', `It took longer than ${limitMs} ms.`));
      }, limitMs);
    });
    try {
      await Promise.race([work(), limit]);
    } catch (error) {
      this.logger.warn({ step, name: component.name, error }, 'component did not end cleanly');
    } finally {
      clearTimeout(timer);
    }
  }
}
