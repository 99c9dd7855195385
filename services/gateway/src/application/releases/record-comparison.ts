import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { TOPICS } from '@thalamus/contracts';
import type { ErrorCode } from '@thalamus/errors';
import { encodeEvent } from '@thalamus/events';
import type { RequestScope } from '../../domain/caller.js';
import { round } from '../../domain/milliseconds.js';
import type { OutcomeSink } from '../record-outcome.js';
import type { LiveRelease } from './live-releases.js';

/** What a stable version and a candidate made of one request. */
export interface Comparison {
  readonly scope: Pick<RequestScope, 'requestId' | 'caller'>;
  readonly release: LiveRelease;
  /** Version whose answer the caller got. */
  readonly stableVersion: string;
  readonly stableMs: number;
  readonly candidateMs: number;
  readonly agree: boolean;
  readonly stableLabel: string;
  readonly candidateLabel: string;
  /** Undefined when the candidate answered. */
  readonly candidateError: ErrorCode | undefined;
}

const SOURCE = '/gateway';

/** Says what candidates made of requests that the stable version had answered. Never text, never a tensor. */
export class RecordComparison {
  constructor(private readonly sink: OutcomeSink) {}

  run({ scope, release, candidateError, ...facts }: Comparison): void {
    const { requestId, caller } = scope;
    const { id, expert, toVersion } = release;
    const message = {
      requestId,
      tenant: caller.tenant,
      releaseId: id,
      expert,
      ...facts,
      stableMs: round(facts.stableMs),
      candidateMs: round(facts.candidateMs),
      candidateVersion: toVersion,
      candidateErrorCode: candidateError ?? '',
      comparedAt: timestampFromMs(Date.now()),
    };
    this.sink.enqueue(encodeEvent(TOPICS.shadowCompared, message, { source: SOURCE, key: requestId }));
  }
}
