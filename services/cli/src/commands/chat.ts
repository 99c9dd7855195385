import type { Command } from 'commander';
import { ThalamusError } from '@thalamus/errors';
import { readChatEvents } from '../chat-stream.js';
import { askGateway, CHAT_TIMEOUT_MS, openGateway } from '../gateway-client.js';
import { collect, gatewayVerb, outputOf, type CommonOptions } from '../mesh-command.js';
import { recordedPrompts } from '../mesh/recorded-prompts.js';
import { readPrompt } from '../read-prompt.js';
import { shortDecision, type DecisionJson } from './decision.js';

interface Options extends CommonOptions {
  readonly model: string;
  readonly flag?: string[];
  readonly system?: string;
  readonly samples: boolean;
}

/** Who answered, and for how much. */
interface ChoiceJson {
  readonly expert: string;
  readonly version: string;
  readonly costUsd: number;
  readonly decision?: DecisionJson;
}

interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
}

interface WholeAnswer {
  readonly choices: readonly { readonly message: { readonly content: string | null } }[];
  readonly usage?: Usage;
  readonly thalamus: ChoiceJson;
}

type ChatEvent = Partial<ChoiceJson> & {
  readonly object?: string;
  readonly choices?: readonly { readonly delta?: { readonly content?: string | null } }[];
  readonly usage?: Usage | null;
};

/** What follows a streamed answer. */
interface Facts {
  readonly choice: Partial<ChoiceJson>;
  readonly usage: Usage | undefined;
}

/** `thalamus chat`: asks a chat model and prints its answer as it comes. */
export function chatCommand(): Command {
  return gatewayVerb('chat', 'ask the chat model that will do best, and print its answer as it comes', [
    'thalamus chat --samples',
    'thalamus chat "If 6 potatoes makes 36 hash browns, how many hash browns can you make out of 96 potatoes?"',
    'thalamus chat - --flag cost=0.3 --json < prompt.txt',
  ])
    .argument('[prompt]', 'the text; - reads standard input')
    .option('--model <model>', 'auto, a chat model, or model@version', 'auto')
    .option('--flag <flag>', 'a wish or limit such as cost=0.3 or latency<500; may be repeated', collect)
    .option('--system <text>', 'what the model is told before the prompt')
    .option('--samples', 'print the prompts that the fleet of the local mesh has recorded answers to', false)
    .action(run);
}

async function run(prompt: string | undefined, options: Options): Promise<void> {
  if (options.samples) {
    const prompts = await recordedPrompts(options);
    outputOf(options).answer(prompts, () => prompts);
    return;
  }
  if (prompt === undefined)
    throw new ThalamusError(
      'CONFIG_INVALID',
      'The prompt is missing. "thalamus chat --help" shows what it takes.',
    );
  const body = bodyOf(await readPrompt(prompt), options);
  if (options.json) await whole(options, body);
  else await streamed(options, body);
}

function bodyOf(prompt: string, { model, flag, system }: Options) {
  const flags = flag?.join(',');
  return {
    model,
    messages: [
      ...(system === undefined ? [] : [{ role: 'system', content: system }]),
      { role: 'user', content: prompt },
    ],
    thalamus: { decision: true, ...(flags === undefined ? {} : { flags }) },
  };
}

async function whole(options: Options, body: object): Promise<void> {
  const answer = await askGateway<WholeAnswer>(options, 'POST', '/v1/chat/completions', body);
  const { expert, version, costUsd, decision } = answer.thalamus;
  const value = {
    expert,
    version,
    answer: answer.choices[0]?.message.content ?? '',
    usage: tokensOf(answer.usage),
    costUsd,
    decision: decision === undefined ? null : shortDecision(decision),
  };
  outputOf(options).answer(value, () => []);
}

/** The answer goes to standard output alone, so that it can be kept; who gave it is told beside it. */
async function streamed(options: Options, body: object): Promise<void> {
  const request = { ...body, stream: true, stream_options: { include_usage: true } };
  const startedAt = performance.now();
  const response = await openGateway(options, {
    method: 'POST',
    path: '/v1/chat/completions',
    body: request,
    timeoutMs: CHAT_TIMEOUT_MS,
  });
  const { choice, usage } = await printAnswer(response.body as AsyncIterable<Uint8Array> | null);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stderr.write(`\n${factsLine({ choice, usage })}, ${seconds} s\n`);
  if (choice.decision) process.stderr.write(`${choice.decision.reason}\n`);
}

async function printAnswer(body: AsyncIterable<Uint8Array> | null): Promise<Facts> {
  let choice: Partial<ChoiceJson> = {};
  let usage: Usage | undefined;
  let isPrinted = false;
  try {
    for await (const event of readChatEvents(body ?? noBytes()) as AsyncIterable<ChatEvent>) {
      if (event.object === 'thalamus.decision') choice = event;
      usage = event.usage ?? usage;
      const text = event.choices?.[0]?.delta?.content ?? '';
      isPrinted ||= text !== '';
      process.stdout.write(process.stdout.isTTY ? printable(text) : text);
    }
  } finally {
    if (isPrinted) process.stdout.write('\n');
  }
  return { choice, usage };
}

async function* noBytes(): AsyncGenerator<Uint8Array> {
  // A body that is not there has nothing to read.
}

function factsLine({ choice, usage }: Facts): string {
  const { input, output } = tokensOf(usage);
  const cost = costText(choice.costUsd ?? 0);
  return `${choice.expert ?? ''}@${choice.version ?? ''}: ${input} + ${output} tokens, ${cost}`;
}

function tokensOf(usage: Usage | undefined) {
  return { input: usage?.prompt_tokens ?? 0, output: usage?.completion_tokens ?? 0 };
}

/** USD with three figures that count. */
export function costText(usd: number): string {
  return `${usd === 0 ? '0' : usd.toFixed(Math.max(2, 2 - Math.floor(Math.log10(usd))))} USD`;
}

/** Without what would steer a terminal. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '');
}
