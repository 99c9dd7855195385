/** W x + b of each row x: [rows, outputs], row-major; `weights` is [outputs, width]. */
export function affine(
  inputs: Float32Array,
  width: number,
  weights: Float32Array,
  bias: Float32Array,
): Float32Array {
  const rows = inputs.length / width;
  const outputs = bias.length;
  const result = new Float32Array(rows * outputs);
  for (let row = 0; row < rows; row++) {
    for (let output = 0; output < outputs; output++) {
      let sum = bias[output]!;
      for (let at = 0; at < width; at++) sum += inputs[row * width + at]! * weights[output * width + at]!;
      result[row * outputs + output] = sum;
    }
  }
  return result;
}
