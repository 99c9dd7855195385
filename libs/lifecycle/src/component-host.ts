import type { Logger } from '@thalamus/telemetry';
import type { Readiness } from './ops-server.js';
import type { ServiceComponent } from './service-component.js';

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

  /** Withdraws readiness, waits the grace, drains every component within the deadline, then closes them. */
  async stop(drainMs: number, readinessGraceMs: number): Promise<void> {
    this.draining = true;
    if (readinessGraceMs > 0) await new Promise((resolve) => setTimeout(resolve, readinessGraceMs));
    const deadline = Date.now() + drainMs;
    for (const component of [...this.running].reverse()) {
      await this.guard(component, 'drain', () => component.drain?.(Math.max(0, deadline - Date.now())));
    }
    await this.closeAll();
  }

  private async closeAll(): Promise<void> {
    for (const component of [...this.running].reverse())
      await this.guard(component, 'close', () => component.close?.());
    this.running.length = 0;
  }

  /** A component that fails to end is logged; it never keeps the others from ending. */
  private async guard(
    component: ServiceComponent,
    step: string,
    work: () => Promise<void> | undefined,
  ): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.logger.warn({ step, name: component.name, error }, 'component did not end cleanly');
    }
  }
}
