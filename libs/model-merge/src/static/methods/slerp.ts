import { z } from 'zod';
import { defineStaticMethod, type TensorGroup } from '../static-method.js';
import { finiteSchema } from '../static-parameters.js';

/** Above it two tensors count as parallel, below it in negative as opposed: both are interpolated linearly. */
const PARALLEL = 0.9995;
/** Below it a norm counts as zero. */
const SMALLEST_NORM = 1e-8;

/** Along the great circle between the base and one parent, tensor by tensor, each tensor one vector. */
export const SLERP_METHOD = defineStaticMethod({
  name: 'slerp',
  reference:
    'Shoemake 1985, Animating rotation with quaternion curves, section 3.3; t = 0 is the base; linear where |cos| > 0.9995, as mergekit 0.1.5',
  needsBase: true,
  needsInformation: false,
  minParents: 1,
  maxParents: 1,
  isOrderFree: false,
  modelWide: 'never',
  shared: z.strictObject({
    t: finiteSchema.refine((t) => t >= 0 && t <= 1, 'must be 0 to 1'),
  }),
  perParent: z.strictObject({}),
  bind: ({ shared: { t } }) => ({ merge: (group, out) => interpolate(group, t, out) }),
});

function interpolate({ base, parents }: TensorGroup, t: number, out: Float32Array): void {
  const from = base!;
  const to = parents[0]!.data;
  const [fromShare, toShare] = shares(from, to, t);
  if (toShare === 0) out.set(from);
  else for (let i = 0; i < out.length; i++) out[i] = fromShare * from[i]! + toShare * to[i]!;
}

/** Factors of the two ends; norms and cosine in float64. */
function shares(from: Float32Array, to: Float32Array, t: number): readonly [number, number] {
  let dot = 0;
  let fromSquares = 0;
  let toSquares = 0;
  for (let i = 0; i < from.length; i++) {
    const a = from[i]!;
    const b = to[i]!;
    dot += a * b;
    fromSquares += a * a;
    toSquares += b * b;
  }
  const norm = (squares: number) => (Math.sqrt(squares) > SMALLEST_NORM ? Math.sqrt(squares) : 1);
  const cosine = Math.max(-1, Math.min(1, dot / (norm(fromSquares) * norm(toSquares))));
  if (Math.abs(cosine) > PARALLEL) return [1 - t, t];
  const angle = Math.acos(cosine);
  return [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
}
