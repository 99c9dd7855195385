import { LOW_RANK_FILES, refusedFile } from '../low-rank-format.js';
import { refusedFolder, type ImportFolder } from './import-folder.js';

/** Configuration of a model by Triton. */
export const TRITON_CONFIG = 'config.pbtxt';
/** Configuration of a model by transformers. */
export const MODEL_CONFIG = 'config.json';

/** What a folder that is imported may be. */
export type ImportForm =
  | { readonly kind: 'peft' }
  | { readonly kind: 'onnx-export' }
  /** `model` is the folder of the model inside, empty when it is the folder itself. */
  | { readonly kind: 'model-repository'; readonly model: string };

/**
 * Tells what a folder is by its files: a LoRA adapter of PEFT, an ONNX export of Hugging Face's Optimum, or a model repository
 * of the Open Inference Protocol, whose numbered folders hold a model's versions.
 * @throws BUNDLE_INVALID saying what was looked for
 */
export function recogniseForm(folder: ImportFolder): ImportForm {
  const has = (file: string) => folder.files.has(file) || folder.links.has(file);
  if (has(LOW_RANK_FILES.config)) return { kind: 'peft' };
  const models = modelsOf(folder);
  if (has(TRITON_CONFIG) || models.includes('')) return { kind: 'model-repository', model: '' };
  if (has(MODEL_CONFIG)) {
    if (graphsOf(folder).length > 0) return { kind: 'onnx-export' };
    throw refusedFile(
      folder.path,
      'model.onnx',
      '',
      `is missing, and so is onnx/model.onnx; ${MODEL_CONFIG} alone is no model: "optimum-cli export onnx --model NAME FOLDER" writes one`,
    );
  }
  const [model, ...others] = models;
  if (others.length > 0)
    throw refusedFolder(
      folder.path,
      `holds several models (${models.slice(0, 8).join(', ')}); give the folder of one, such as ${folder.path}/${model ?? ''}`,
    );
  if (model !== undefined) return { kind: 'model-repository', model };
  throw refusedFolder(
    folder.path,
    `is nothing that can be imported: it has no ${LOW_RANK_FILES.config} (LoRA of PEFT), no ${MODEL_CONFIG} with a graph (ONNX export), and no ${TRITON_CONFIG} or 1/model.onnx (model repository)`,
  );
}

/** ONNX graphs of a folder, sorted. */
export function graphsOf({ files, links }: ImportFolder): string[] {
  return [...files.keys(), ...links].filter((path) => path.endsWith('.onnx')).sort();
}

const VERSIONED_GRAPH = /^(?:([^/]+)\/)?[1-9][0-9]{0,17}\/[^/]+\.onnx$/;
const CONFIGURED = new RegExp(`^([^/]+)/${TRITON_CONFIG.replace('.', '\\.')}$`);

/** Folders of models of a repository; empty stands for the folder itself. */
function modelsOf(folder: ImportFolder): string[] {
  const configured = [...folder.files.keys()].flatMap((path) => CONFIGURED.exec(path)?.[1] ?? []);
  const versioned = graphsOf(folder).flatMap((path) => {
    const match = VERSIONED_GRAPH.exec(path);
    return match ? [match[1] ?? ''] : [];
  });
  return [...new Set([...configured, ...versioned])].sort();
}
