import { HTTP_HEADERS, type routerV1 } from '@thalamus/contracts';
import { parseFlags, type Flag } from '@thalamus/routing';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ReleaseArm } from '../../application/resolve-expert.js';
import { compositionText, type CompositionUse } from '../../domain/composition-use.js';

/** Flags of the header. @throws FLAG_INVALID */
export function headerFlags(request: FastifyRequest): Flag[] {
  const text = request.headers[HTTP_HEADERS.flags];
  return typeof text === 'string' ? parseFlags(text) : [];
}

/**
 * Headers that name who answered: one expert, or several in the order of their first answer; and, of a live release, which part of
 * it.
 */
export function nameExperts(
  reply: FastifyReply,
  answers: readonly {
    readonly expert: string;
    readonly version: string;
    readonly arm: ReleaseArm | undefined;
  }[],
): void {
  void reply.header(HTTP_HEADERS.expert, [...new Set(answers.map(({ expert }) => expert))].join(', '));
  void reply.header(HTTP_HEADERS.version, [...new Set(answers.map(({ version }) => version))].join(', '));
  const arms = new Set(answers.flatMap(({ arm }) => arm ?? []));
  if (arms.size > 0) void reply.header(HTTP_HEADERS.channel, [...arms].join(', '));
}

/** Header that says which router model decided, and what it predicts of the expert: `zoo-router@1; loss=0.214; total=0.214`. */
export function nameDecision(reply: FastifyReply, decision: routerV1.Decision, expert: string): void {
  const chosen = decision.ranked.find((ranked) => ranked.expert === expert);
  const facts = chosen ? `; loss=${chosen.predictedLoss.toFixed(3)}; total=${chosen.total.toFixed(3)}` : '';
  const abstained = decision.abstained ? '; abstained' : '';
  const value = `${decision.routerModel}@${decision.routerModelVersion}${facts}${abstained}`;
  void reply.header(HTTP_HEADERS.decision, value);
}

/** Header that says what became of a composition: `compose:a@2+b@1; answered=parents; reason=building`. */
export function nameComposition(reply: FastifyReply, use: CompositionUse): void {
  void reply.header(HTTP_HEADERS.composition, compositionText(use));
}
