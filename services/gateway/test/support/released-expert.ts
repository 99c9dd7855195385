import type { MessageInitShape } from '@bufbuild/protobuf';
import type { inference } from '@thalamus/contracts';
import { freePorts, waitUntil } from '@thalamus/testing';
import type { GatewayUnderTest, Released } from './gateway-under-test.js';

type Answer = MessageInitShape<typeof inference.ModelInferResponseSchema>;

/** What a client sees of a classification. */
export interface Seen {
  readonly status: number;
  readonly version: string | null;
  /** stable or candidate; null without a release. */
  readonly channel: string | null;
  readonly requestId: string;
}

/** An expert with two versions on the fake host, the first of them stable. */
export class ReleasedExpert {
  private constructor(
    private readonly gateway: GatewayUnderTest,
    readonly name: string,
    readonly task: string,
    private readonly tenants: readonly string[],
  ) {}

  static async make(
    gateway: GatewayUnderTest,
    name: string,
    { task = 'text-classification', tenants = [] as readonly string[] } = {},
  ): Promise<ReleasedExpert> {
    const made = new ReleasedExpert(gateway, name, task, tenants);
    for (const version of ['1', '2']) {
      const value = { expert: name, version, task, licence: 'Apache-2.0', labelCount: 2 };
      await gateway.register(`version/${name}@${version}`, { case: 'version', value });
      await made.reside(version);
    }
    await made.point('1');
    return made;
  }

  /** The release of the second version, as the updater tells of it. */
  release(summary: Released): Promise<void> {
    const release = { expert: this.name, fromVersion: '1', toVersion: '2', state: 'CANARY', weight: 1 };
    return this.gateway.release(`${this.name}-release`, { ...release, ...summary });
  }

  /** Makes a version the stable one. */
  async point(stable: string): Promise<void> {
    const value = { name: this.name, task: this.task, stable, tenants: [...this.tenants] };
    await this.gateway.register(`expert/${this.name}`, { case: 'expert', value });
    await this.gateway.settled();
  }

  /** Says that the fake host has a version, or that it has not; resolves once the gateway knows. */
  async reside(version: string, other: Parameters<GatewayUnderTest['reside']>[2] = {}): Promise<void> {
    await this.gateway.reside(this.name, version, other);
    const isThere = (other.leaseMs ?? 1) > 0;
    await waitUntil(`${this.name}@${version} is known`, () => {
      const found = this.gateway.residents(this.name, version);
      return isThere
        ? found.some(({ address }) => address === (other.address ?? address))
        : found.length === 0;
    });
  }

  /** Has the candidate live where nobody answers. */
  async loseCandidate(): Promise<void> {
    const [port = 0] = await freePorts(1);
    await this.reside('2', { address: `127.0.0.1:${port}` });
  }

  /** Asks for a classification in a conversation, or without one. */
  async ask(
    conversation?: string,
    { model = this.name, key }: { readonly model?: string; readonly key?: string } = {},
  ): Promise<Seen> {
    const headers = conversation === undefined ? {} : { 'x-thalamus-conversation': conversation };
    const init = key === undefined ? { headers } : { headers, key };
    const response = await this.gateway.post('/v1/classifications', { input: 'x', model }, init);
    await response.arrayBuffer();
    return {
      status: response.status,
      version: response.headers.get('x-thalamus-version'),
      channel: response.headers.get('x-thalamus-channel'),
      requestId: response.headers.get('x-request-id') ?? '',
    };
  }
}

/** The answer of a classifier that knows `other` and `card_lost`, with these scores. */
export function scored(request: inference.ModelInferRequest, scores: readonly [number, number]): Answer {
  const labels = { parameterChoice: { case: 'stringParam' as const, value: '["other","card_lost"]' } };
  return {
    ...{ id: request.id, modelName: request.modelName, modelVersion: request.modelVersion },
    outputs: [{ name: 'scores', datatype: 'FP32', shape: [1n, 2n], parameters: { labels } }],
    rawOutputContents: [new Uint8Array(Float32Array.from(scores).buffer)],
  };
}
