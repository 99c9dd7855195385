import type { ModelInferResponse } from '../gen/inference/grpc_service_pb.js';

const SCORES = 'scores';

/** A request with one BYTES input `text` of shape [texts]. */
export interface TextsRequest {
  readonly id: string;
  readonly inputs: {
    readonly name: string;
    readonly datatype: string;
    readonly shape: bigint[];
    readonly contents: { readonly bytesContents: Uint8Array[] };
  }[];
}

/** The request for texts. */
export function textsRequest(texts: readonly string[], id: string): TextsRequest {
  const encoder = new TextEncoder();
  const contents = { bytesContents: texts.map((text) => encoder.encode(text)) };
  return { id, inputs: [{ name: 'text', datatype: 'BYTES', shape: [BigInt(texts.length)], contents }] };
}

/** The best label of each text, by the output `scores` and its parameter `labels`; undefined for an answer without labels. */
export function bestLabels({
  outputs,
  rawOutputContents,
}: Pick<ModelInferResponse, 'outputs' | 'rawOutputContents'>): string[] | undefined {
  const index = outputs.findIndex(({ name }) => name === SCORES);
  const raw = rawOutputContents[index];
  const choice = outputs[index]?.parameters['labels']?.parameterChoice;
  const labels = choice?.case === 'stringParam' ? namesIn(choice.value) : undefined;
  if (!raw || !labels) return undefined;
  const scores = new Float32Array(new Uint8Array(raw).buffer);
  const width = labels.length;
  const rows = width === 0 ? 0 : Math.floor(scores.length / width);
  return Array.from({ length: rows }, (_, row) => {
    const own = scores.subarray(row * width, (row + 1) * width);
    let best = 0;
    for (let at = 1; at < width; at++) if ((own[at] ?? 0) > (own[best] ?? 0)) best = at;
    return labels[best] ?? '';
  });
}

/** The list of names that a text is in JSON; undefined for any other text. */
function namesIn(text: string): string[] | undefined {
  try {
    const read: unknown = JSON.parse(text);
    return Array.isArray(read) ? read.map(String) : undefined;
  } catch {
    return undefined;
  }
}
