import type { ServerResponse } from 'node:http';

const KEY = Symbol.for('thalamus.telemetry.sdk');

/** What the started SDK offers to the rest of the process. */
export interface TelemetrySdk {
  readonly serviceName: string;
  /** Writes the Prometheus text of all metrics. */
  readonly answerScrape: (response: ServerResponse) => Promise<void>;
  /** Flushes and stops. */
  readonly shutdown: () => Promise<void>;
}

/** Remembers the started SDK; called once by `register`. */
export function setSdk(sdk: TelemetrySdk): void {
  (globalThis as Record<symbol, unknown>)[KEY] = sdk;
}

/** The SDK that `--import @thalamus/telemetry/register` started, or undefined without it. */
export function getSdk(): TelemetrySdk | undefined {
  return (globalThis as Record<symbol, unknown>)[KEY] as TelemetrySdk | undefined;
}
