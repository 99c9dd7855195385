import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { paceOf, piecesOf, tokensOf } from './pace.js';
import type { Recordings } from './recordings.js';

const MAX_BODY_BYTES = 1_048_576;
const SAMPLES_TOLD = 20;

const bodySchema = z.looseObject({
  model: z.string(),
  messages: z.array(z.looseObject({ role: z.string(), content: z.unknown() })).min(1),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().optional() }).nullish(),
});
type Body = z.infer<typeof bodySchema>;

/** An OpenAI-compatible server that answers with what real models once said, at the speed of such models. */
export class ReplayServer {
  private readonly server: Server;

  constructor(
    private readonly recordings: Recordings,
    private readonly options: { readonly host: string; readonly port: number; readonly pace: number },
  ) {
    this.server = createServer((request, response) => {
      this.handle(request, response).catch((fault: unknown) => {
        refuse(response, toThalamusError(fault));
      });
    });
  }

  /** @throws PORT_IN_USE */
  async start(): Promise<string> {
    const { host, port } = this.options;
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', (cause) => {
        reject(new ThalamusError('PORT_IN_USE', `Cannot listen on ${host}:${port}: it is taken.`, { cause }));
      });
      this.server.listen(port, host, resolve);
    });
    return `http://${host}:${(this.server.address() as AddressInfo).port}/v1`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const route = `${request.method ?? ''} ${request.url ?? ''}`;
    if (route === 'GET /v1/models') {
      json(response, 200, {
        object: 'list',
        data: this.recordings.models.map((id) => ({ id, object: 'model', created: 0, owned_by: 'replay' })),
      });
    } else if (route === 'GET /v1/samples') {
      json(response, 200, { object: 'list', data: this.recordings.prompts });
    } else if (route === 'POST /v1/chat/completions') {
      await this.chat(await readBody(request), response);
    } else {
      throw new ThalamusError('RESOURCE_NOT_FOUND', `Nothing answers ${route.slice(0, 120)} here.`);
    }
  }

  private async chat(body: Body, response: ServerResponse): Promise<void> {
    const prompt = promptOf(body);
    const answer = this.recordings.answer(body.model, prompt);
    if (answer === undefined) {
      const samples = this.recordings.prompts.slice(0, SAMPLES_TOLD);
      const message = `${body.model} was never asked this; here are recordings only. Ask one of the samples; GET /v1/samples lists all.`;
      json(response, 404, {
        error: { message, type: 'invalid_request_error', param: 'messages', code: 'not_recorded', samples },
      });
      return;
    }
    const gone = new AbortController();
    response.once('close', () => {
      gone.abort();
    });
    const usage = {
      prompt_tokens: tokensOf(prompt),
      completion_tokens: tokensOf(answer),
      total_tokens: tokensOf(prompt) + tokensOf(answer),
    };
    const head = {
      id: `chatcmpl-${randomUUID()}`,
      created: Math.floor(Date.now() / 1000),
      model: body.model,
    };
    const { firstTokenMs, tokenMs } = paceOf(body.model, this.options.pace);
    try {
      await pause(firstTokenMs, gone.signal);
      if (body.stream === true) {
        const withUsage = body.stream_options?.include_usage === true;
        await stream(response, {
          head,
          answer,
          tokenMs,
          usage: withUsage ? usage : undefined,
          signal: gone.signal,
        });
        return;
      }
      await pause(tokenMs * piecesOf(answer).length, gone.signal);
    } catch (fault) {
      if (gone.signal.aborted) return;
      throw fault;
    }
    const choices = [{ index: 0, message: { role: 'assistant', content: answer }, finish_reason: 'stop' }];
    json(response, 200, { ...head, object: 'chat.completion', choices, usage });
  }
}

async function stream(
  response: ServerResponse,
  options: {
    readonly head: object;
    readonly answer: string;
    readonly tokenMs: number;
    readonly usage: object | undefined;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const send = (part: object) =>
    response.write(
      `data: ${JSON.stringify({ ...options.head, object: 'chat.completion.chunk', ...part })}\n\n`,
    );
  const choice = (delta: object, reason: string | null = null) => ({
    choices: [{ index: 0, delta, finish_reason: reason }],
  });
  send(choice({ role: 'assistant', content: '' }));
  for (const piece of piecesOf(options.answer)) {
    send(choice({ content: piece }));
    await pause(options.tokenMs, options.signal);
  }
  send(choice({}, 'stop'));
  if (options.usage) send({ choices: [], usage: options.usage });
  response.end('data: [DONE]\n\n');
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await wait(ms, undefined, { signal });
}

/** The text of the last message of the user. */
function promptOf({ messages }: Body): string {
  const content = messages.findLast(({ role }) => role === 'user')?.content;
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return (content as { type?: string; text?: string }[])
    .filter(({ type }) => type === 'text')
    .map(({ text }) => text ?? '')
    .join('\n');
}

async function readBody(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES)
      throw new ThalamusError('REQUEST_TOO_LARGE', 'The body is larger than 1 MiB.');
    chunks.push(chunk);
  }
  const result = bodySchema.safeParse(parse(Buffer.concat(chunks).toString('utf8')));
  if (!result.success)
    throw new ThalamusError(
      'REQUEST_INVALID',
      `The body is not valid: ${result.error.issues[0]?.message ?? ''}.`,
    );
  return result.data;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new ThalamusError('REQUEST_INVALID', 'The body is not JSON.');
  }
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function refuse(response: ServerResponse, error: ThalamusError): void {
  if (response.headersSent) response.destroy();
  else
    json(response, error.spec.http, {
      error: { message: error.message, type: 'invalid_request_error', param: null, code: error.code },
    });
}
