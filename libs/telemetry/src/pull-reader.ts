import { MetricReader } from '@opentelemetry/sdk-metrics';
import type { ServerResponse } from 'node:http';
import { PROMETHEUS_MEDIA_TYPE, prometheusText } from './prometheus-text.js';

/** Collects metrics when somebody asks for them, and at no other time. */
export class PullReader extends MetricReader {
  /** Answers a scrape. A failure is a 500: half a page would look like metrics that have gone. */
  async answer(response: ServerResponse): Promise<void> {
    try {
      const { resourceMetrics } = await this.collect();
      response.writeHead(200, { 'content-type': PROMETHEUS_MEDIA_TYPE });
      response.end(prometheusText(resourceMetrics));
    } catch {
      response.writeHead(500, { 'content-type': 'text/plain; charset=utf-8' });
      response.end('The metrics could not be collected; the log says why.\n');
    }
  }

  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }

  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}
