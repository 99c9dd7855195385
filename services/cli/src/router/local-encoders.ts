import { openBundle, openRouterBundle, type ExpertManifest, type OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import {
  PromptEncoder,
  TextEncoder,
  Tokenizer,
  type EncodedTexts,
  type InferenceRuntime,
  type TokenRow,
} from '@thalamus/inference';
import { inspectGraph } from '@thalamus/onnx-graph';
import type { OpenedRouter } from '@thalamus/training';
import { join } from 'node:path';
import { zooFolder } from '../mesh/zoo-index.js';

/** What makes the vectors of a router model. */
export interface LocalEncoders {
  /** Of its first stage, or its only one. */
  readonly first: PromptEncoder;
  /** Vectors of the second stage; its graph is opened when it is first asked. */
  second(texts: readonly string[], rows: readonly TokenRow[]): Promise<EncodedTexts>;
}

/** Folders of a router model and of the base that it reads. */
interface Folders {
  readonly router: string;
  readonly base?: string;
}

/** Vectors as the router model wants them: its own tables and tokenizer, and a graph only where it reads one. @throws BUNDLE_INVALID */
export async function openEncoders(
  router: OpenedRouter,
  folders: Folders,
  runtime: InferenceRuntime,
): Promise<LocalEncoders> {
  const { manifest, spec, second } = router;
  const { tokenizer: file, maxTokens } = manifest.encoder;
  const isWithoutGraph = file !== undefined && !spec.blocks.some(({ kind }) => kind === 'sentence');
  const base = isWithoutGraph && !second ? undefined : await openBase(router, folders);
  const graph = async (own: OpenedBundle<ExpertManifest>) => {
    inspectGraph(await own.readFile('model.onnx'));
    const session = await runtime.load({ path: own.filePath('model.onnx') });
    return new TextEncoder(Tokenizer.parse(await own.readFile('tokenizer.json')), session, maxTokens);
  };
  if (base && !isWithoutGraph) return { first: new PromptEncoder(await graph(base), spec), second: noSecond };
  const bundle = await openRouterBundle(folders.router);
  const tokenizer = Tokenizer.parse(await bundle.readFile(file ?? 'tokenizer.json'));
  return {
    first: new PromptEncoder({ tokenizer, maxTokens }, spec),
    second:
      base && second
        ? async (texts, rows) => new PromptEncoder(await graph(base), second.spec).encodeTokens(texts, rows)
        : noSecond,
  };
}

/** The base whose graph is read. @throws BUNDLE_INVALID when it is another than the router model was fitted with */
async function openBase({ manifest }: OpenedRouter, { base }: Folders) {
  const { digest, name } = manifest.encoder;
  const bundle = await openBundle(base ?? join(zooFolder(), 'base', 'minilm-l6'));
  if (bundle.digest === digest) return bundle;
  throw new ThalamusError(
    'BUNDLE_INVALID',
    `The router model reads the encoder ${name} (${digest}), but ${bundle.folder} has the digest ${bundle.digest}; name the right folder with --base.`,
  );
}

function noSecond(): never {
  throw new Error('A router model with one stage has no second.');
}
