import { ThalamusError } from '@thalamus/errors';
import { encodeModel, GraphBuilder } from '@thalamus/onnx-graph';
import { tensor, type Matrix64, type MultiplyMatrices } from '@thalamus/tensor';
import type { GraphRuntime } from '@thalamus/training';

/** Products of float64 matrices in the runtime, and its sessions, which are to be released. */
export interface RuntimeProducts {
  readonly multiply: MultiplyMatrices;
  release(): Promise<void>;
}

/** Opens sessions for both kinds of product. */
export async function openProducts(runtime: GraphRuntime, threads: number): Promise<RuntimeProducts> {
  const [plain, transposed] = await Promise.all(
    [false, true].map((isTransposed) => runtime.load({ bytes: productGraph(isTransposed) }, { threads })),
  );
  return {
    multiply: async (left, right, isTransposed) => {
      const outputs = await (isTransposed ? transposed : plain)!.run({
        left: tensorOf(left),
        right: tensorOf(right),
      });
      const product = outputs['product'];
      if (product?.dtype === 'float64') return product.data;
      throw new ThalamusError('GRAPH_INVALID', 'A product of float64 matrices is no float64 tensor.');
    },
    release: async () => {
      await Promise.all([plain!.release(), transposed!.release()]);
    },
  };
}

const tensorOf = ({ rows, columns, data }: Matrix64) => tensor('float64', [rows, columns], data);

function productGraph(isTransposed: boolean): Uint8Array {
  const b = new GraphBuilder();
  const left = b.input('left', 'float64', ['rows', 'inner']);
  const right = b.input('right', 'float64', ['before', 'after']);
  const product = b.node('Gemm', [left, right], {
    name: 'product',
    attributes: { transB: isTransposed ? 1 : 0 },
  });
  b.output(product, 'float64', ['rows', 'columns']);
  return encodeModel(b.build({ name: 'product' }));
}
