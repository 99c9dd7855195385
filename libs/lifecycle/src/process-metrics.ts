import { METRICS } from '@thalamus/contracts';
import { gauge } from '@thalamus/telemetry';
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Reports resident memory and event-loop delay of this process; returns what stops it. */
export function registerProcessMetrics(): () => void {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  const stopMemory = gauge(METRICS.residentMemory, () => [[process.memoryUsage.rss(), {}]]);
  const stopDelay = gauge(METRICS.eventLoopDelay, () => {
    const seconds = delay.percentile(99) / 1e9;
    delay.reset();
    return [[seconds, {}]];
  });
  return () => {
    stopMemory();
    stopDelay();
    delay.disable();
  };
}
