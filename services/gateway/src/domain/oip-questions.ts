import { splitBytesElements, type inference } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';

type TextInput = inference.ModelInferRequest_InferInputTensor;

/** Most texts of one request to `auto` or a composition. */
const MAX_TEXTS = 256;

/** Texts of the one BYTES input `text`, typed or raw. @throws TENSOR_INVALID */
export function textsOf(request: inference.ModelInferRequest): string[] {
  const [input, ...others] = request.inputs;
  if (input?.name !== 'text' || others.length > 0) throw invalid('text', 'this model takes this one input');
  const count = textCount(input);
  const entries = entriesOf(input, request.rawInputContents, count);
  if (entries.length !== count)
    throw invalid('text', `holds ${entries.length} texts, but its shape says ${count}`);
  const decoder = new TextDecoder('utf-8', { fatal: true });
  return entries.map((entry, index) => {
    try {
      return decoder.decode(entry);
    } catch {
      throw invalid('text', `entry ${index} is not UTF-8`);
    }
  });
}

function textCount({ datatype, shape }: TextInput): number {
  if (datatype !== 'BYTES') throw invalid('text', `has the datatype ${datatype.slice(0, 16)}, not BYTES`);
  const [count, ...more] = shape;
  if (count === undefined || more.length > 0)
    throw invalid('text', `has ${shape.length} dimensions; it must have one`);
  if (count < 1n || count > BigInt(MAX_TEXTS))
    throw invalid('text', `holds ${count} texts by its shape; 1 to ${MAX_TEXTS} are taken`);
  return Number(count);
}

function entriesOf(input: TextInput, raw: readonly Uint8Array[], count: number): Uint8Array[] {
  const { contents } = input;
  const [first, ...more] = raw;
  if (more.length > 0) throw invalid('text', 'has more than one raw content');
  if (first === undefined) return contents?.bytesContents ?? [];
  if (contents !== undefined) throw invalid('text', 'has both contents and raw contents; send one');
  return splitBytesElements(first, input.name, count);
}

function invalid(field: string, reason: string): ThalamusError {
  return new ThalamusError('TENSOR_INVALID', `Input ${field}: ${reason}.`, {
    violations: [{ field, description: reason }],
  });
}
