import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { Answer } from './answer.js';
import { paceOf, piecesOf, type Pace } from './pace.js';
import { readQuestion, type Question } from './question.js';
import type { Recordings } from './recordings.js';

const SAMPLES_TOLD = 20;

/** Where the server listens, and how fast it answers. */
export interface ReplayOptions {
  readonly host: string;
  readonly port: number;
  /** Factor on the time that answers take; 0: none. */
  readonly pace: number;
}

/** An OpenAI-compatible server that answers with what real models once said, at the speed of such models. */
export class ReplayServer {
  private readonly server: Server;

  constructor(
    private readonly recordings: Recordings,
    private readonly options: ReplayOptions,
  ) {
    this.server = createServer((request, response) => {
      this.handle(request, response).catch((fault: unknown) => {
        refuse(response, toThalamusError(fault));
      });
    });
  }

  /** Base URL of the API. @throws PORT_IN_USE */
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

  /** Ends at once: open answers break off, as those of a server that goes away. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const route = `${request.method ?? ''} ${request.url?.split('?')[0] ?? ''}`;
    const { models, prompts } = this.recordings;
    switch (route) {
      case 'GET /healthz':
      case 'GET /readyz':
        response.writeHead(200, { 'content-type': 'text/plain' }).end('ready\n');
        return;
      case 'GET /v1/models':
        json(response, 200, {
          object: 'list',
          data: models.map((id) => ({ id, object: 'model', created: 0, owned_by: 'replay' })),
        });
        return;
      case 'GET /v1/samples':
        json(response, 200, { object: 'list', data: prompts });
        return;
      case 'POST /v1/chat/completions':
        return this.answer(await readQuestion(request, 'chat'), response);
      case 'POST /v1/completions':
        return this.answer(await readQuestion(request, 'completion'), response);
      default:
        throw new ThalamusError('RESOURCE_NOT_FOUND', `Nothing answers ${route.slice(0, 120)} here.`);
    }
  }

  private async answer(question: Question, response: ServerResponse): Promise<void> {
    const { model, prompt } = question;
    const text = this.recordings.answer(model, prompt);
    if (text === undefined) {
      this.refuseUnrecorded(question, response);
      return;
    }
    const gone = new AbortController();
    response.once('close', () => {
      gone.abort();
    });
    const pace = paceOf(model, prompt, this.options.pace);
    const answer = new Answer(question, text, new Date());
    const pieces = piecesOf(text);
    try {
      await pause(pace.firstTokenMs, gone.signal);
      if (question.stream) {
        await stream(response, answer, pieces, { pace, signal: gone.signal });
        return;
      }
      await pause(pace.tokenMs * pieces.length, gone.signal);
    } catch (fault) {
      if (gone.signal.aborted) return;
      throw fault;
    }
    json(response, 200, answer.whole());
  }

  private refuseUnrecorded({ model, operation }: Question, response: ServerResponse): void {
    const isKnown = this.recordings.models.includes(model);
    const message = isKnown
      ? `${model} was never asked this; here are recordings only. Ask one of the samples; GET /v1/samples lists all.`
      : `There are no recordings of ${model.slice(0, 120)}; GET /v1/models lists whose there are.`;
    const [param, code] = isKnown
      ? [operation === 'chat' ? 'messages' : 'prompt', 'not_recorded']
      : ['model', 'model_not_found'];
    const samples = isKnown ? { samples: this.recordings.prompts.slice(0, SAMPLES_TOLD) } : {};
    json(response, 404, { error: { message, type: 'invalid_request_error', param, code, ...samples } });
  }
}

async function stream(
  response: ServerResponse,
  answer: Answer,
  pieces: readonly string[],
  { pace, signal }: { readonly pace: Pace; readonly signal: AbortSignal },
): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const send = (part: object | undefined) => part && response.write(`data: ${JSON.stringify(part)}\n\n`);
  send(answer.opening());
  for (const piece of pieces) {
    send(answer.piece(piece));
    await pause(pace.tokenMs, signal);
  }
  send(answer.ending());
  send(answer.accounting());
  response.end('data: [DONE]\n\n');
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await wait(ms, undefined, { signal });
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function refuse(response: ServerResponse, error: ThalamusError): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  // What is left of a body that is too long is not read.
  if (error.code === 'REQUEST_TOO_LARGE') response.setHeader('connection', 'close');
  json(response, error.spec.http, {
    error: { message: error.message, type: 'invalid_request_error', param: null, code: error.code },
  });
}
