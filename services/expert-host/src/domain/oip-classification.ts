import { ThalamusError } from '@thalamus/errors';
import { largest, tensor, type Tensor } from '@thalamus/tensor';

/**
 * Triton's classification extension: instead of a float tensor the `count` highest values along its last axis, as texts
 * `value:index` or `value:index:label`, shape [..., count].
 * @throws TENSOR_INVALID for an output that holds no floats, or no axis
 */
export function topClasses(
  name: string,
  value: Tensor,
  count: number,
  labels: readonly string[] | undefined,
): Tensor {
  const width = value.shape.at(-1);
  if (width === undefined || (value.dtype !== 'float32' && value.dtype !== 'float64'))
    throw new ThalamusError(
      'TENSOR_INVALID',
      `Output ${name} is ${value.dtype} of shape [${value.shape.join(', ')}], which has no classes; ask for it without classification.`,
      { violations: [{ field: `outputs.${name}.parameters.classification`, description: 'has no classes' }] },
    );
  const kept = Math.min(count, width);
  const rows = width === 0 ? 0 : value.data.length / width;
  const texts = Array.from({ length: rows }, (_, row) => {
    const own = value.data.subarray(row * width, (row + 1) * width);
    return largest(own, kept).map((index) => {
      const label = labels?.[index];
      return `${(own[index] ?? 0).toFixed(6)}:${index}${label === undefined ? '' : `:${label}`}`;
    });
  });
  return tensor('string', [...value.shape.slice(0, -1), kept], texts.flat());
}
