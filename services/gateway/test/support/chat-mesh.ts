import type { eventsV1 } from '@thalamus/contracts';
import { waitUntil } from '@thalamus/testing';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChatUpstreamServer } from './chat-upstream.js';
import { decision } from './fake-services.js';
import { GatewayUnderTest } from './gateway-under-test.js';

/** What a client sees of a request. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** Text of a key that must never be seen outside. */
export const UPSTREAM_KEY = 'canary-upstream-key';

/** A gateway with two remote chat models, alpha and beta, each a real HTTP server; the router prefers alpha. */
export class ChatMesh {
  private constructor(
    readonly gateway: GatewayUnderTest,
    readonly alpha: ChatUpstreamServer,
    readonly beta: ChatUpstreamServer,
    private readonly folder: string,
  ) {}

  static async start(environment: Readonly<Record<string, string>> = {}): Promise<ChatMesh> {
    const folder = await mkdtemp(join(tmpdir(), 'thalamus-keys-'));
    writeFileSync(join(folder, 'alpha'), `${UPSTREAM_KEY}\n`);
    const [alpha, beta] = [await ChatUpstreamServer.start(), await ChatUpstreamServer.start()];
    const gateway = await GatewayUnderTest.start({ THALAMUS_UPSTREAM_KEY_FOLDER: folder, ...environment });
    const price = { input: 10, output: 30 };
    await gateway.addChatModel({ name: 'alpha', baseUrl: alpha.baseUrl, keyReference: 'file:alpha', price });
    await gateway.addChatModel({ name: 'beta', baseUrl: beta.baseUrl });
    const mesh = new ChatMesh(gateway, alpha, beta, folder);
    await mesh.reset();
    return mesh;
  }

  /** Both models answer well again, no circuit counts failures, nothing has been asked. */
  async reset(): Promise<void> {
    this.alpha.reset();
    this.beta.reset();
    this.rank('alpha', 'beta');
    await this.chat({ model: 'alpha' });
    await this.chat({ model: 'beta' });
    this.alpha.reset();
    this.beta.reset();
    this.gateway.router.requests.length = 0;
  }

  /** What the router answers from now on. */
  rank(...experts: readonly string[]): void {
    const ranked = experts.map((expert, index) => ({
      expert,
      predictedLoss: 0.25 + index,
      total: 0.375 + index,
    }));
    this.gateway.router.answer = (request) =>
      Promise.resolve({
        decision: decision({ ranked, flags: request.flags }),
        strippedPrompt: request.prompt.replace(/^\[flag[^\]]*\]\s*/, ''),
      });
  }

  /** Sends a chat request and reads the whole answer. */
  async chat(
    body: Readonly<Record<string, unknown>> = {},
    init: Parameters<GatewayUnderTest['post']>[2] = {},
  ): Promise<Answer> {
    const response = await this.gateway.post('/v1/chat/completions', chatRequest(body), init);
    return { status: response.status, headers: response.headers, text: await response.text() };
  }

  /** The event that tells the end of a request. */
  completed(answer: { readonly headers: Headers }): Promise<eventsV1.RequestCompleted> {
    const id = answer.headers.get('x-request-id') ?? '';
    return waitUntil(`the end of ${id} is told`, () =>
      this.gateway.completed.find(({ requestId }) => requestId === id),
    );
  }

  async stop(): Promise<void> {
    await this.gateway.stop();
    await this.alpha.stop();
    await this.beta.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** A chat request with some fields of its own. */
export function chatRequest(body: Readonly<Record<string, unknown>> = {}) {
  return { model: 'auto', messages: [{ role: 'user', content: 'What is 6 times 7?' }], ...body };
}

/** Data of the events of a stream. */
export function eventsOf({ text }: { readonly text: string }): string[] {
  const blocks = text.split('\n\n');
  if (blocks.pop() !== '') throw new Error('the stream does not end with an event');
  return blocks.map((block) => {
    if (!block.startsWith('data: ') || block.includes('\n')) throw new Error(`no event: ${block}`);
    return block.slice('data: '.length);
  });
}

/** The error of an answer, or of the last event of a stream. */
export function errorOf(answer: Answer): { code: string; message: string; type: string } {
  const isStream = answer.headers.get('content-type')?.startsWith('text/event-stream');
  const json = isStream ? (eventsOf(answer).at(-1) ?? '') : answer.text;
  return (JSON.parse(json) as { error: { code: string; message: string; type: string } }).error;
}
