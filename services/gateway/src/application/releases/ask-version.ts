import type { inference } from '@thalamus/contracts';
import { labelOf } from '../../domain/answer-agreement.js';
import type { RequestScope } from '../../domain/caller.js';
import type { HostRequest, InferOnHost, Tries } from '../infer-on-host.js';
import { afterCandidate, type ResolvedExpert } from '../resolve-expert.js';
import type { MirrorRequests } from './mirror-requests.js';

/** What is asked of whom. */
export interface VersionQuestion<T> {
  readonly target: ResolvedExpert;
  readonly request: HostRequest;
  readonly scope: RequestScope;
  /** Takes the answer out of what the host says; what it throws is a failure of the version. */
  readonly read: (response: inference.ModelInferResponse) => T;
  /** Hears of it when another version is asked than the target. */
  readonly turnedTo?: (target: ResolvedExpert) => void;
}

/** An answer, and who gave it. */
export interface VersionAnswer<T> {
  readonly target: ResolvedExpert;
  readonly answer: T;
  /** Of the host call that answered, milliseconds. */
  readonly inferMs: number;
  /** The label of the one text that was classified, while a release is live; else empty. */
  readonly label: string;
}

interface Heard<T> {
  readonly answer: T;
  readonly response: inference.ModelInferResponse;
  readonly inferMs: number;
}

/**
 * Asks the version that a request goes to. While a release is live a candidate that fails, or takes too long, is followed by the
 * stable version, so that its caller is answered all the same; the outcome tells of the failure. What the stable version answers
 * may be mirrored.
 */
export class AskVersion {
  constructor(
    private readonly hosts: Pick<InferOnHost, 'run'>,
    private readonly mirror: Pick<MirrorRequests, 'offer'>,
    /** How long a candidate may take, milliseconds; never more than half of what a request has left. */
    private readonly candidateTimeoutMs: number,
  ) {}

  async run<T>(question: VersionQuestion<T>): Promise<VersionAnswer<T>> {
    const { target, scope } = question;
    if (target.instead) return this.candidate(question, target.instead);
    const heard = await this.ask(target, question, scope, 'twice');
    const { release } = target;
    if (release && target.version === release.fromVersion) {
      const { response, inferMs: stableMs } = heard;
      const stableVersion = target.version;
      this.mirror.offer({ release, scope, stableVersion, request: question.request, response, stableMs });
    }
    return answerOf(target, heard);
  }

  private async candidate<T>(
    question: VersionQuestion<T>,
    instead: ResolvedExpert,
  ): Promise<VersionAnswer<T>> {
    const { target, scope } = question;
    try {
      return answerOf(target, await this.ask(target, question, this.shortened(scope), 'elsewhere'));
    } catch (fault) {
      if (scope.signal.aborted) throw fault;
      const stable = afterCandidate(instead, fault);
      question.turnedTo?.(stable);
      return answerOf(stable, await this.ask(stable, question, scope, 'twice'));
    }
  }

  private async ask<T>(
    { expert, version }: ResolvedExpert,
    { request, read }: VersionQuestion<T>,
    scope: RequestScope,
    tries: Tries,
  ): Promise<Heard<T>> {
    const startedAt = performance.now();
    const response = await this.hosts.run(expert, version, request, scope, tries);
    return { answer: read(response), response, inferMs: performance.now() - startedAt };
  }

  private shortened(scope: RequestScope): RequestScope {
    const now = Date.now();
    const patienceMs = Math.min(this.candidateTimeoutMs, (scope.deadlineAtMs - now) / 2);
    return { ...scope, deadlineAtMs: now + patienceMs };
  }
}

function answerOf<T>(target: ResolvedExpert, { answer, response, inferMs }: Heard<T>): VersionAnswer<T> {
  return { target, answer, inferMs, label: target.release ? labelOf(response) : '' };
}
