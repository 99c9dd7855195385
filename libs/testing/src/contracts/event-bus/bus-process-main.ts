import type { EventBus, FencedWriter } from '@thalamus/events';
import { toThalamusError } from '@thalamus/errors';
import { createInterface } from 'node:readline';
import { busAt, series, textOf, textRecord, type BusPlace } from './bus-harness.js';
import type { ProcessMessage, ProcessTask } from './bus-process.js';

/** The program of a BusProcess: does the task that its argument names, and says what happens, a line each. */
const { place, task } = JSON.parse(process.argv[2] ?? '{}') as { place: BusPlace; task: ProcessTask };
const bus = busAt(place);
// Ends with the test that started it, whatever ends that.
process.stdin.on('end', () => process.exit(0));
await bus.start();
if (task.kind === 'consume') await consume(bus, task);
else if (task.kind === 'publish') await publish(bus, task);
else await lead(bus, task);

function say(message: ProcessMessage): void {
  process.stdout.write(`${JSON.stringify({ said: message })}\n`);
}

async function consume(on: EventBus, { topic, group, handleMs = 0 }: ProcessTask & { kind: 'consume' }) {
  const subscription = await on.subscribe({
    group,
    topics: [topic],
    handle: async (record) => {
      say({ kind: 'begun', text: textOf(record)?.slice(0, 40) ?? '' });
      await new Promise((resolve) => setTimeout(resolve, handleMs));
      const { heapUsed, external } = process.memoryUsage();
      say({ kind: 'handled', text: textOf(record)?.slice(0, 40) ?? '', memoryBytes: heapUsed + external });
      return { kind: 'ack' };
    },
  });
  process.stdin.resume();
  process.once('SIGTERM', () => {
    void subscription.stop().then(async () => {
      await on.close();
      process.exit(0);
    });
  });
  say({ kind: 'ready' });
}

/** Publishes one record after the other and says each that the bus has acknowledged. */
async function publish(on: EventBus, { topic, key, count }: ProcessTask & { kind: 'publish' }) {
  process.stdin.resume();
  for (const record of series(topic, key, 0, count)) {
    await on.publish([record]);
    say({ kind: 'published', text: textOf(record) ?? '' });
  }
  await on.close();
  process.exit(0);
}

/** Campaigns; each line of input is appended as the leader, also when it is one no longer. */
async function lead(on: EventBus, { role, candidate, topic }: ProcessTask & { kind: 'lead' }) {
  let writer: FencedWriter | undefined;
  await on.campaign({
    role,
    candidate,
    onElected: (elected, term) => {
      writer = elected;
      say({ kind: 'elected', text: String(term) });
      return Promise.resolve();
    },
    onRevoked: (reason) => {
      say({ kind: 'revoked', text: reason });
    },
  });
  createInterface({ input: process.stdin }).on('line', (text) => {
    writer?.append([textRecord(topic, candidate, text)]).then(
      () => {
        say({ kind: 'appended', text });
      },
      (fault: unknown) => {
        say({ kind: 'refused', text, code: toThalamusError(fault).code });
      },
    );
  });
  say({ kind: 'ready' });
}
