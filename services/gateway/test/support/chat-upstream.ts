import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request that reached the upstream. */
export interface Asked {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: Readonly<Record<string, unknown>>;
}

/** How an upstream answers. */
export type UpstreamBehaviour = (response: ServerResponse, asked: Asked, request: IncomingMessage) => void;

/** A real HTTP server in the place of a remote model: it answers as OpenAI does until it is told to behave otherwise. */
export class ChatUpstreamServer {
  readonly asked: Asked[] = [];
  /** Connections that it has accepted so far. */
  connections = 0;
  /** Answers whose connection was closed before they were out. */
  abandoned = 0;
  /** Answers that went out whole. */
  ended = 0;
  behave: UpstreamBehaviour = answerWell;
  private readonly server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      const body = JSON.parse(text) as Record<string, unknown>;
      const asked = { path: request.url ?? '', authorization: request.headers.authorization, body };
      this.asked.push(asked);
      response.once('close', () => {
        if (response.writableFinished) this.ended += 1;
        else this.abandoned += 1;
      });
      this.behave(response, asked, request);
    });
  });

  static async start(): Promise<ChatUpstreamServer> {
    const made = new ChatUpstreamServer();
    made.server.on('connection', () => (made.connections += 1));
    await new Promise<void>((resolve) => made.server.listen(0, '127.0.0.1', resolve));
    return made;
  }

  /** Base URL up to and including /v1. */
  get baseUrl(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1`;
  }

  reset(): void {
    this.asked.length = 0;
    this.abandoned = 0;
    this.ended = 0;
    this.behave = answerWell;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }
}

/** Tokens of every good answer. */
export const USAGE = { prompt_tokens: 12, completion_tokens: 3, total_tokens: 15 };

/** A good answer, whole or streamed, as it is asked for. */
export function answerWell(response: ServerResponse, { body, path }: Asked): void {
  if (body['stream'] === true) {
    beginEvents(response);
    for (const word of ['Hel', 'lo']) response.write(event(chunkOf(word)));
    response.end(event({ ...chunkOf(undefined), choices: [], usage: USAGE }) + DONE);
    return;
  }
  const choice = path.endsWith('/chat/completions')
    ? { index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }
    : { index: 0, text: 'Hello', finish_reason: 'stop' };
  const answer = { id: 'cmpl-1', object: 'chat.completion', created: 1, model: body['model'] };
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ ...answer, choices: [choice], usage: USAGE }));
}

/** Answers with a status and a text. */
export function failWith(status: number, headers: Readonly<Record<string, string>> = {}): UpstreamBehaviour {
  return (response) => {
    response.writeHead(status, headers);
    response.end('{"error":{"message":"words of the upstream"}}');
  };
}

/** The end of a stream. */
export const DONE = 'data: [DONE]\n\n';

/** A chunk as OpenAI has it. */
export function chunkOf(content: string | undefined) {
  const delta = content === undefined ? {} : { content };
  const choices = [{ index: 0, delta, finish_reason: null }];
  return { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'their-model', choices };
}

/** One server-sent event of a value. */
export const event = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`;

/** Begins a stream of events. */
export function beginEvents(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
}
