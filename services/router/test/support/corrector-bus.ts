import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { TOPICS, type eventsV1 } from '@thalamus/contracts';
import { decodeEvent, encodeEvent, type EventBus } from '@thalamus/events';
import { TASK } from './router-under-test.js';

type Completed = MessageInitShape<typeof eventsV1.RequestCompletedSchema>;

/** Speaks on the bus as the gateway does, and reads what the corrector writes. */
export class CorrectorBus {
  readonly records = new Map<string, eventsV1.RouteCorrection>();
  readonly alarms: eventsV1.DriftDetected[] = [];
  private count = 0;

  private constructor(private readonly bus: EventBus) {}

  static async open(bus: EventBus): Promise<CorrectorBus> {
    const made = new CorrectorBus(bus);
    await bus.follow({
      topic: TOPICS.routeCorrection.name,
      onRecord: (record) => {
        const correction = decodeEvent(TOPICS.routeCorrection, record);
        if (correction) made.records.set(record.key, correction);
        else made.records.delete(record.key);
      },
    });
    await bus.follow({
      topic: TOPICS.driftDetected.name,
      onRecord: (record) => {
        const alarm = decodeEvent(TOPICS.driftDetected, record);
        if (alarm) made.alarms.push(alarm);
      },
    });
    return made;
  }

  /** A request that an expert answered as predicted, and what somebody says of the answer. Returns the request's id. */
  async outcome(expert: string, predicted: number, score: number, facts: Completed = {}): Promise<string> {
    const requestId = await this.answered(expert, predicted, facts);
    await this.feedback(requestId, score, { tenant: facts.tenant ?? 'default' });
    return requestId;
  }

  async answered(expert: string, predicted: number, facts: Completed = {}): Promise<string> {
    this.count += 1;
    const requestId = facts.requestId ?? `request-${this.count}`;
    const message: Completed = {
      requestId,
      tenant: 'default',
      task: TASK,
      operation: 'classifications',
      expert,
      version: '1',
      channel: 'stable',
      routed: true,
      routerModel: 'constant@1',
      predictedLoss: predicted,
      candidates: [{ expert, predictedLoss: predicted, total: predicted }],
      completedAt: timestampFromMs(Date.now()),
      ...facts,
    };
    await this.bus.publish([
      encodeEvent(TOPICS.requestCompleted, message, { source: '/test', key: requestId }),
    ]);
    return requestId;
  }

  async feedback(
    requestId: string,
    score: number | undefined,
    { tenant = 'default', id }: { readonly tenant?: string; readonly id?: string } = {},
  ): Promise<void> {
    const message = { requestId, tenant, label: '', ...(score === undefined ? {} : { score }) };
    const facts = { source: '/test', key: requestId, ...(id === undefined ? {} : { id }) };
    await this.bus.publish([encodeEvent(TOPICS.feedbackGiven, message, facts)]);
  }

  /** Outcomes that an expert's watch has seen. */
  seen(expert: string): number {
    return Number(this.records.get(`${expert}/drift`)?.drift?.outcomes ?? 0n);
  }
}
