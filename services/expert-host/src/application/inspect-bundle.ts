import type { ExpertManifest, OpenedBundle } from '@thalamus/bundle';
import { DEFAULT_GRAPH_LIMITS, inspectGraph, type GraphSummary } from '@thalamus/onnx-graph';

/** File of the graph inside a bundle. */
export const MODEL_FILE = 'model.onnx';

/**
 * The structural look at a bundle's graph that comes before every runtime. External data may come from listed files
 * beside the graph. @throws GRAPH_INVALID, BUNDLE_INVALID
 */
export async function inspectBundleGraph(bundle: OpenedBundle<ExpertManifest>): Promise<GraphSummary> {
  const bytes = await bundle.readFile(MODEL_FILE);
  try {
    const externalFiles = bundle.manifest.files.map(({ path }) => path).filter((path) => path !== MODEL_FILE);
    return inspectGraph(bytes, { ...DEFAULT_GRAPH_LIMITS, externalFiles });
  } finally {
    giveBack(bytes);
  }
}

/** Frees a large buffer now: an idle process collects no garbage, and would keep the whole model in memory. */
function giveBack({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
