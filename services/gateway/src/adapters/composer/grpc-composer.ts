import type { MessageInitShape } from '@bufbuild/protobuf';
import { composerV1, RPC_METADATA } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { createClient, type CallOptions, type RpcClient } from '@thalamus/grpc';
import type {
  CheckedRecipe,
  Composer,
  ComposerCall,
  MadeComposition,
} from '../../application/compositions/composer.port.js';
import type { PinnedParent } from '../../domain/composition-name.js';

const METHOD = 'twin';
const DEFAULT_DEADLINE_MS = 5_000;

/** The composer by gRPC. */
export class GrpcComposer implements Composer {
  private readonly client: RpcClient<typeof composerV1.ComposerService>;

  constructor(address: string) {
    this.client = createClient(composerV1.ComposerService, {
      address,
      defaultDeadlineMs: DEFAULT_DEADLINE_MS,
    });
  }

  async preflight(parents: readonly PinnedParent[], call: ComposerCall): Promise<CheckedRecipe> {
    return this.client.preflight({ recipe: recipeOf(parents) }, optionsOf(call));
  }

  async compose(
    parents: readonly PinnedParent[],
    timeToLiveS: number,
    call: ComposerCall,
  ): Promise<MadeComposition> {
    const request = { recipe: recipeOf(parents), timeToLiveS: BigInt(timeToLiveS) };
    let made: MadeComposition | undefined;
    for await (const { event } of this.client.compose(request, optionsOf(call)))
      if (event.case === 'composition') made = event.value;
    if (!made) throw new ThalamusError('UPSTREAM_ERROR', 'The composer ended without a result; see its log.');
    return made;
  }

  close(): void {
    this.client.close();
  }
}

function recipeOf(parents: readonly PinnedParent[]): MessageInitShape<typeof composerV1.RecipeSchema> {
  return { method: METHOD, parents: parents.map(({ expert, version }) => ({ expert, version })) };
}

function optionsOf({ signal, deadlineMs, tenant }: ComposerCall): CallOptions {
  return { signal, deadlineMs, metadata: { [RPC_METADATA.tenant]: tenant } };
}
