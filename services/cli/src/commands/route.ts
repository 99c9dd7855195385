import type { RiskTarget } from '@thalamus/routing';
import { InvalidArgumentError, type Command } from 'commander';
import { askGateway } from '../gateway-client.js';
import {
  collect,
  gatewayVerb,
  outputOf,
  refuseGiven,
  wholeNumber,
  type CommonOptions,
} from '../mesh-command.js';
import { table } from '../output.js';
import { readPrompt } from '../read-prompt.js';
import { shortDecision, type DecisionJson } from './decision.js';

interface Options extends CommonOptions {
  readonly flag?: string[];
  readonly task: string;
  readonly topK: number;
  readonly router?: string;
  readonly base?: string;
  readonly risk?: RiskTarget;
}

/** Options of the mesh alone, and of a folder alone, by attribute. */
const OF_THE_MESH = new Set(['task', 'data', 'url', 'key']);
const OF_A_FOLDER = new Set(['base']);

/** `thalamus route`: ranks the experts for a prompt without running any. */
export function routeCommand(): Command {
  const command = gatewayVerb('route', 'rank the experts for a prompt without running any', [
    'thalamus route "The party of the first part shall indemnify" --flag size=0.5',
    'thalamus route "Prove that sqrt(2) is irrational" --router /tmp/r --flag cost=0.2',
    'thalamus route "Prove that sqrt(2) is irrational" --router /tmp/r --risk 0.02,0.1',
    'thalamus route "Is this clause enforceable?" --flag latency=high --flag "size<30000000"',
  ])
    .argument('<prompt>', 'the text; - reads standard input')
    .option('--flag <flag>', 'a wish or limit such as size=0.5 or latency<100; may be repeated', collect)
    .option('--task <task>', 'Hugging Face task name', 'text-classification')
    .option(
      '--risk <alpha,delta>',
      'the cheapest expert that loses at most alpha more than the best single one, with confidence 1 - delta',
      riskTarget,
    )
    .option('--top-k <count>', 'experts to print', wholeNumber(1, 256), 8)
    .option('--router <folder>', 'decide by this router model in this process; no mesh is needed')
    .option('--base <folder>', 'with --router: the encoder that it reads; default: zoo/base/minilm-l6');
  return command.action(async (prompt: string, options: Options) => {
    const { router } = options;
    const input = await readPrompt(prompt);
    if (router !== undefined) {
      refuseGiven(
        command,
        OF_THE_MESH,
        'a router model in a folder has no such option; leave it away, or leave --router away',
      );
      const answer = await (
        await import('../actions/route-local.js')
      ).routeLocal(input, { ...options, router });
      outputOf(options).answer(answer.value, () => lines(answer.decision));
      return;
    }
    refuseGiven(command, OF_A_FOLDER, 'the mesh has its own; name a folder with --router, or leave it away');
    const flags = options.flag?.join(',');
    const body = {
      input,
      task: options.task,
      top_k: options.topK,
      ...(flags === undefined ? {} : { flags }),
      ...(options.risk ? { risk: options.risk } : {}),
    };
    const decision = await askGateway<DecisionJson & { readonly timings_ms: Record<string, number> }>(
      options,
      'POST',
      '/v1/route',
      body,
    );
    const value = {
      ...shortDecision(decision),
      lossUnit: decision.lossUnit,
      timingsMs: decision.timings_ms,
    };
    outputOf(options).answer(value, () => lines(decision));
  });
}

/** The ranking, and why. */
function lines(decision: DecisionJson): string[] {
  const { reason, decidingStage } = decision;
  return [...rows(decision), '', reason, ...(decidingStage ? [decidingStage.reason] : [])];
}

function rows(decision: DecisionJson): string[] {
  const header = ['expert', `loss (${decision.lossUnit})`, 'interval', 'costs', 'total'];
  const ranked = decision.ranked.map(({ expert, predictedLoss, lossLow, lossHigh, costs, total }) => [
    expert,
    predictedLoss.toFixed(3),
    `${lossLow.toFixed(2)} to ${lossHigh.toFixed(2)}`,
    weighed(costs)
      .map(({ name, value, weight }) => `${name} ${value.toFixed(2)} x ${weight}`)
      .join(', ') || '-',
    total.toFixed(3),
  ]);
  const rejected = decision.rejected.map(({ filter, count }) => `${count} rejected by ${filter}`);
  return [...table([header, ...ranked]), ...rejected];
}

/** alpha,delta of the command line. */
function riskTarget(text: string): RiskTarget {
  const [alpha = NaN, delta = NaN, ...rest] = text
    .split(',')
    .map((part) => (part.trim() === '' ? NaN : Number(part)));
  if (rest.length === 0 && alpha >= 0 && Number.isFinite(alpha) && delta > 0 && delta < 1)
    return { alpha, delta };
  throw new InvalidArgumentError(
    'Give a loss of 0 or more and a probability between 0 and 1, such as 0.02,0.1.',
  );
}

/** Costs that count: those that nobody weighed are in the JSON only. */
function weighed(costs: DecisionJson['ranked'][number]['costs']) {
  return costs.filter(({ weight }) => weight !== 0);
}
