import type { DescMessage } from '@bufbuild/protobuf';
import {
  AuditRecordedSchema,
  DriftDetectedSchema,
  FeedbackGivenSchema,
  HostResidencySchema,
  JobChangedSchema,
  ProbeAnsweredSchema,
  RequestCompletedSchema,
  RouteCorrectionSchema,
  ShadowComparedSchema,
} from './gen/thalamus/events/v1/events_pb.js';
import { ResourceSchema } from './gen/thalamus/registry/v1/registry_pb.js';

/** A topic: name, shape of its payload, what its key means, how it is kept. */
export interface TopicDefinition {
  readonly name: string;
  /** Protobuf message of the payload. */
  readonly schema: DescMessage;
  /** What the record key is. */
  readonly key: string;
  /** True when only the last record of a key is kept. */
  readonly compacted: boolean;
  readonly partitions: number;
  /** How long records are kept, in milliseconds; absent for compacted topics. */
  readonly retentionMs?: number;
  readonly writtenBy: readonly string[];
  readonly readBy: readonly string[];
  /** Reverse-DNS CloudEvents type of its records. */
  readonly type: string;
}

const DAY_MS = 86_400_000;

/** Every topic of the mesh. The only place where their names are written. */
export const TOPICS = {
  registryState: {
    name: 'thalamus.registry.state.v1',
    type: 'dev.thalamus.registry.state.v1',
    schema: ResourceSchema,
    key: 'kind/name of the resource',
    compacted: true,
    partitions: 1,
    writtenBy: ['updater (elected writer)'],
    readBy: ['all services'],
  },
  hostResidency: {
    name: 'thalamus.host.residency.v1',
    type: 'dev.thalamus.host.residency.v1',
    schema: HostResidencySchema,
    key: 'host id/expert@version, or host id',
    compacted: true,
    partitions: 1,
    writtenBy: ['expert-host'],
    readBy: ['gateway', 'router', 'updater', 'console'],
  },
  jobChanged: {
    name: 'thalamus.job.changed.v1',
    type: 'dev.thalamus.job.changed.v1',
    schema: JobChangedSchema,
    key: 'job id',
    compacted: true,
    partitions: 1,
    writtenBy: ['updater (elected writer)'],
    readBy: ['updater', 'console'],
  },
  routeCorrection: {
    name: 'thalamus.route.correction.v1',
    type: 'dev.thalamus.route.correction.v1',
    schema: RouteCorrectionSchema,
    key: 'expert/region, expert/drift, or /folded',
    compacted: true,
    partitions: 1,
    writtenBy: ['router (elected corrector)'],
    readBy: ['router'],
  },
  driftDetected: {
    name: 'thalamus.drift.detected.v1',
    type: 'dev.thalamus.drift.detected.v1',
    schema: DriftDetectedSchema,
    key: 'expert',
    compacted: false,
    partitions: 1,
    retentionMs: 30 * DAY_MS,
    writtenBy: ['router (elected corrector)'],
    readBy: ['operators'],
  },
  requestCompleted: {
    name: 'thalamus.request.completed.v1',
    type: 'dev.thalamus.request.completed.v1',
    schema: RequestCompletedSchema,
    key: 'request id',
    compacted: false,
    partitions: 6,
    retentionMs: 7 * DAY_MS,
    writtenBy: ['gateway'],
    readBy: ['router', 'updater', 'console'],
  },
  shadowCompared: {
    name: 'thalamus.shadow.compared.v1',
    type: 'dev.thalamus.shadow.compared.v1',
    schema: ShadowComparedSchema,
    key: 'request id',
    compacted: false,
    partitions: 6,
    retentionMs: 7 * DAY_MS,
    writtenBy: ['gateway'],
    readBy: ['updater'],
  },
  probeAnswered: {
    name: 'thalamus.probe.answered.v1',
    type: 'dev.thalamus.probe.answered.v1',
    schema: ProbeAnsweredSchema,
    key: 'release id',
    compacted: false,
    partitions: 1,
    retentionMs: 30 * DAY_MS,
    writtenBy: ['updater (elected writer)'],
    readBy: ['updater'],
  },
  feedbackGiven: {
    name: 'thalamus.feedback.given.v1',
    type: 'dev.thalamus.feedback.given.v1',
    schema: FeedbackGivenSchema,
    key: 'request id',
    compacted: false,
    partitions: 6,
    retentionMs: 30 * DAY_MS,
    writtenBy: ['gateway'],
    readBy: ['router', 'updater'],
  },
  auditRecorded: {
    name: 'thalamus.audit.recorded.v1',
    type: 'dev.thalamus.audit.recorded.v1',
    schema: AuditRecordedSchema,
    key: 'tenant',
    compacted: false,
    partitions: 1,
    retentionMs: 365 * DAY_MS,
    writtenBy: ['gateway', 'updater'],
    readBy: ['operators'],
  },
} as const satisfies Record<string, TopicDefinition>;

/** Short name of a topic in code. */
export type TopicName = keyof typeof TOPICS;

/**
 * Who leads which role: key = role, value = the leader's address as text, without an envelope. Written and read by the Kafka
 * adapter of the bus alone; the embedded log keeps leaders in a table.
 */
export const LEADER_TOPIC = { name: 'thalamus.leader.elected.v1', key: 'role' } as const;

/** How long dead letters are kept, in milliseconds. */
export const DEAD_LETTER_RETENTION_MS = 30 * DAY_MS;

/** Ending of the names of dead-letter topics. */
export const DEAD_LETTER_SUFFIX = '.dlq';

/** Name of the topic that takes the dead letters of another. */
export function deadLetterTopic(topic: string): string {
  return `${topic}${DEAD_LETTER_SUFFIX}`;
}
