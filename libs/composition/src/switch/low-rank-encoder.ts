import type { LowRankAdapter } from '@thalamus/bundle';
import type { Feeds, InferenceRuntime, InferenceSession, Tokenizer } from '@thalamus/inference';
import {
  addGatheredBranches,
  decodeModel,
  encodeModel,
  oneAdapterFeeds,
  type GatheredBranch,
} from '@thalamus/onnx-graph';
import { asFloat32 } from '@thalamus/tensor';
import type { BatchEncoder } from '@thalamus/training';

/** What the encoders of low-rank experts stand on. */
export interface LowRankBase {
  /** The graph of the base as it was shipped. */
  readonly graph: Uint8Array;
  readonly tokenizer: Tokenizer;
  readonly maxTokens: number;
  readonly threads: number;
}

/**
 * The base under the branches of one low-rank expert at a time, as a host runs it: the shipped graph with its branches, the
 * factors as inputs. One session serves all experts. It sums in the order in which a composed graph does, which matters: a
 * last bit more or less rounds inputs of the base's int8 products another way, and moves an embedding by a thousandth
 * (docs/decisions/0011-composition-of-low-rank-experts.md). Hence all ranks are padded to one, and layers that no expert
 * changes have no branch.
 */
export class LowRankEncoders {
  private constructor(
    private readonly base: LowRankBase,
    private readonly session: InferenceSession,
    private readonly branches: readonly GatheredBranch[],
    private readonly rank: number,
  ) {}

  /** @throws GRAPH_INVALID for a base without linear layers */
  static async open(
    runtime: InferenceRuntime,
    base: LowRankBase,
    adapters: readonly LowRankAdapter[],
  ): Promise<LowRankEncoders> {
    const layers = adapters.flatMap(({ factors }) => factors.map(({ layer }) => layer));
    const { model, branches } = addGatheredBranches(decodeModel(base.graph), new Set(layers));
    const session = await runtime.load({ bytes: encodeModel(model) }, { threads: base.threads });
    return new LowRankEncoders(base, session, branches, Math.max(...adapters.map(({ rank }) => rank)));
  }

  /** Embeddings under the branches of one expert. */
  of(adapter: LowRankAdapter): BatchEncoder {
    const { tokenizer, maxTokens } = this.base;
    let factors: Feeds | undefined;
    return {
      encode: async (texts) => {
        factors ??= oneAdapterFeeds(adapter, this.branches, this.rank);
        const { inputIds, attentionMask } = await tokenizer.encodeBatch(texts, maxTokens);
        const feeds = { input_ids: inputIds, attention_mask: attentionMask, ...factors };
        const { embedding } = await this.session.run(feeds, { outputs: ['embedding'] });
        const { data, shape } = asFloat32(embedding, 'embedding');
        return { embeddings: data, width: shape[1] ?? 0 };
      },
    };
  }

  release(): Promise<void> {
    return this.session.release();
  }
}
