import type { ExportWishes } from './hugging-face-export.js';
import { readHuggingFaceExport } from './hugging-face-export.js';
import type { ImportFolder } from './import-folder.js';
import type { ImportedGraph } from './imported-graph.js';
import { readModelRepository } from './model-repository.js';
import type { ImportForm } from './recognise-form.js';

/** Finds and checks the graph of a folder of either form. @throws BUNDLE_INVALID, GRAPH_INVALID */
export function readImportedGraph(
  folder: ImportFolder,
  form: Exclude<ImportForm, { kind: 'peft' }>,
  wishes: ExportWishes,
): Promise<ImportedGraph> {
  return form.kind === 'onnx-export'
    ? readHuggingFaceExport(folder, wishes)
    : readModelRepository(folder, form.model, wishes.graph);
}
