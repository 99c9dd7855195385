import type { inference } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';

/** A label with its probability. */
export interface LabelScore {
  readonly label: string;
  readonly score: number;
}

/** What a classifier said of one text. */
export interface TextAnswer {
  /** Best first. */
  readonly scores: readonly LabelScore[];
  readonly promptTokens: number;
  readonly truncated: boolean;
}

/** Reads the answer of a text classifier, one entry a text. @throws UPSTREAM_ERROR when it has not the agreed outputs */
export function readClassification(response: inference.ModelInferResponse): TextAnswer[] {
  const scores = floats(response, 'scores');
  const labelsText = response.outputs.find(({ name }) => name === 'scores')?.parameters['labels']
    ?.parameterChoice;
  const labels = labelsText?.case === 'stringParam' ? (JSON.parse(labelsText.value) as string[]) : [];
  const [count = 0, width = 0] = scores.shape;
  if (labels.length !== width)
    throw new ThalamusError(
      'UPSTREAM_ERROR',
      `${response.modelName} answered ${width} scores for ${labels.length} labels.`,
    );
  return Array.from({ length: count }, (_, row) => ({
    scores: labels
      .map((label, index) => ({ label, score: scores.data[row * width + index] ?? 0 }))
      .sort((a, b) => b.score - a.score),
    promptTokens: tokensOf(response),
    truncated: response.parameters['truncated']?.parameterChoice.value === true,
  }));
}

/** Reads the vectors of a feature-extraction answer. */
export function readEmbeddings(response: inference.ModelInferResponse): Float32Array[] {
  const { data, shape } = floats(response, 'embedding');
  const [count = 0, width = 0] = shape;
  return Array.from({ length: count }, (_, row) => data.slice(row * width, (row + 1) * width));
}

/** Tokens that the expert saw. */
export function tokensOf(response: inference.ModelInferResponse): number {
  const choice = response.parameters['prompt_tokens']?.parameterChoice;
  return choice?.case === 'int64Param' ? Number(choice.value) : 0;
}

function floats(
  response: inference.ModelInferResponse,
  name: string,
): { data: Float32Array; shape: number[] } {
  const index = response.outputs.findIndex((output) => output.name === name);
  const raw = response.rawOutputContents[index];
  const output = response.outputs[index];
  if (!output || !raw)
    throw new ThalamusError('UPSTREAM_ERROR', `${response.modelName} answered without the output "${name}".`);
  return { data: new Float32Array(new Uint8Array(raw).buffer), shape: output.shape.map(Number) };
}
