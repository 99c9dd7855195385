import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { asFloat32, elementCount, tensor } from './tensor.js';

const refusal = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (ThalamusError.is(error)) return `${error.code} ${error.message}`;
  }
  throw new Error('nothing was refused');
};

describe('elementCount', () => {
  it('multiplies the sizes; a scalar has one element, an empty dimension none', () => {
    expect(elementCount([2, 3, 4])).toBe(24);
    expect(elementCount([])).toBe(1);
    expect(elementCount([5, 0, 7])).toBe(0);
  });

  it.each([[[-1]], [[1.5]], [[NaN]], [[2 ** 53]], [[2 ** 30, 2 ** 30]]])('refuses %j', (shape) => {
    expect(refusal(() => elementCount(shape))).toContain('TENSOR_INVALID');
  });
});

describe('tensor', () => {
  it('keeps dtype, shape and data', () => {
    const data = new Float32Array([1, 2, 3, 4]);
    expect(tensor('float32', [2, 2], data)).toEqual({ dtype: 'float32', shape: [2, 2], data });
  });

  it('refuses data that does not fit the shape', () => {
    const message = refusal(() => tensor('float32', [2, 2], new Float32Array(3)));
    expect(message).toBe('TENSOR_INVALID Shape [2, 2] needs 4 elements, but 3 are given.');
  });
});

describe('asFloat32', () => {
  it('passes a float32 tensor and names what is not one', () => {
    const value = tensor('float32', [1], new Float32Array([7]));
    expect(asFloat32(value, 'logits')).toBe(value);
    expect(refusal(() => asFloat32(tensor('int32', [1], new Int32Array(1)), 'logits'))).toContain(
      'Tensor logits should be float32 but is int32',
    );
    expect(refusal(() => asFloat32(undefined, 'logits'))).toContain('is missing');
  });
});
