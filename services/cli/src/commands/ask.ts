import type { Command } from 'commander';
import { askGateway } from '../gateway-client.js';
import { collect, gatewayVerb, outputOf, wholeNumber, type CommonOptions } from '../mesh-command.js';
import { readPrompt } from '../read-prompt.js';
import { shortDecision, type DecisionJson } from './decision.js';

interface Options extends CommonOptions {
  readonly model: string;
  readonly flag?: string[];
  readonly top: number;
}

interface Answer {
  readonly data: readonly {
    readonly expert: string;
    readonly version: string;
    readonly label: string;
    readonly scores: readonly { readonly label: string; readonly score: number }[];
    readonly decision?: DecisionJson;
    readonly timings_ms: Readonly<Record<string, number>>;
  }[];
  /** When a composition was asked for. */
  readonly thalamus?: {
    readonly composition: { readonly model: string; readonly answered: string; readonly reason: string };
  };
}

const BAR = 24;

/** `thalamus ask`: routes a prompt and prints the answer. */
export function askCommand(): Command {
  return gatewayVerb('ask', 'send a prompt to the expert that will do best at it', [
    'thalamus ask "I lost my card, please block it"',
    'thalamus ask "Book a table for two" --expert snips7@2 --json',
    'thalamus ask - --flag size=0.5 < prompt.txt',
  ])
    .argument('<prompt>', 'the text; - reads standard input')
    .option('--expert, --model <model>', 'auto, an expert, expert@version, compose:a+b', 'auto')
    .option('--flag <flag>', 'a wish or limit such as size=0.5 or latency<100; may be repeated', collect)
    .option('--top <count>', 'labels to print', wholeNumber(1, 1000), 5)
    .action(async (prompt: string, options: Options) => {
      const input = await readPrompt(prompt);
      const flags = options.flag?.join(',');
      const body = {
        input,
        model: options.model,
        top: options.top,
        thalamus: { decision: true },
        ...(flags === undefined ? {} : { flags }),
      };
      const { data, thalamus } = await askGateway<Answer>(options, 'POST', '/v1/classifications', body);
      const [answer] = data;
      if (!answer) return;
      const { expert, version, label, scores, decision, timings_ms: timingsMs } = answer;
      const shown = decision === undefined ? null : shortDecision(decision);
      outputOf(options).answer(
        { expert, version, output: { label, scores }, decision: shown, timingsMs, ...thalamus },
        () => [
          `${label}   (${expert}@${version}, ${timingsMs['total'] ?? 0} ms)`,
          ...scores.map((item) => `  ${bar(item.score)} ${item.score.toFixed(3)}  ${item.label}`),
          ...(decision === undefined ? [] : [`  ${decision.reason}`]),
          ...(thalamus ? [`  ${compositionLine(thalamus.composition)}`] : []),
        ],
      );
    });
}

function bar(share: number): string {
  const filled = Math.round(share * BAR);
  return `${'█'.repeat(filled)}${'·'.repeat(BAR - filled)}`;
}

function compositionLine({
  model,
  answered,
  reason,
}: NonNullable<Answer['thalamus']>['composition']): string {
  return answered === 'composition'
    ? `${model} was ${reason}`
    : `${model} did not answer (${reason}): one of its parents did`;
}
