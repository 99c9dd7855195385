import { tensor } from '@thalamus/tensor';
import type { AttributeValue, GraphBuilder, ValueName } from '@thalamus/onnx-graph';
import { FLOAT_TYPES, type FloatType } from '../float-types.js';

/** What every loss can be told. */
export interface LossOptions {
  /** Element type of what is compared, and of the loss. Default float32. */
  readonly elementType?: FloatType;
  /** bool [rows]: rows that count; the mean is over these, 0 when there are none. Default: all. */
  readonly mask?: ValueName;
}

/** Writes the nodes of a loss; their names start with `loss/`. */
export class LossWriter {
  private readonly elementType: FloatType;
  private readonly mask: ValueName | undefined;

  constructor(
    private readonly builder: GraphBuilder,
    { elementType = 'float32', mask }: LossOptions,
  ) {
    this.elementType = elementType;
    this.mask = mask;
  }

  op(
    operator: string,
    inputs: readonly ValueName[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): ValueName {
    return this.builder.node(operator, inputs, { name: `loss/${operator.toLowerCase()}`, attributes });
  }

  scalar(value: number): ValueName {
    return this.builder.constant('loss/number', FLOAT_TYPES[this.elementType].scalar(value));
  }

  ints(...values: readonly number[]): ValueName {
    return this.builder.constant(
      'loss/ints',
      tensor('int64', [values.length], BigInt64Array.from(values, BigInt)),
    );
  }

  /** Truth values as 1 and 0. */
  cast(value: ValueName): ValueName {
    return this.op('Cast', [value], { to: FLOAT_TYPES[this.elementType].code });
  }

  /** Where a condition holds the value, elsewhere 0. */
  where(condition: ValueName, value: ValueName): ValueName {
    return this.op('Where', [condition, value, this.scalar(0)]);
  }

  /** Sum over the last axis, which goes. */
  sumLast(value: ValueName): ValueName {
    return this.op('ReduceSum', [value, this.ints(-1)], { keepdims: 0 });
  }

  /** The element of each row that its label names: [rows, classes] and int64 [rows] give [rows]. */
  pick(values: ValueName, labels: ValueName): ValueName {
    const index = this.op('Unsqueeze', [labels, this.ints(1)]);
    return this.op('Squeeze', [this.op('GatherElements', [values, index], { axis: 1 }), this.ints(1)]);
  }

  /** The mean of [rows] over the rows that count; rows that `also` leaves out do not count either. */
  meanOverRows(values: ValueName, also?: ValueName): ValueName {
    const masks = [this.mask, also].filter((mask) => mask !== undefined);
    if (masks.length === 0) return this.finish('ReduceMean', [values], { keepdims: 0 });
    return this.meanWhere(masks.length === 1 ? masks[0]! : this.op('And', masks), values);
  }

  /** The mean of a value over where a condition of its shape holds; 0 with zero gradients where it never does. */
  meanWhere(condition: ValueName, values: ValueName): ValueName {
    const sum = this.op('ReduceSum', [this.where(condition, values)], { keepdims: 0 });
    const count = this.op('ReduceSum', [this.cast(condition)], { keepdims: 0 });
    return this.finish('Div', [sum, this.op('Max', [count, this.scalar(1)])]);
  }

  /** Truth values of rows over the columns of a matrix as well; undefined without a mask. */
  maskOver(like: ValueName): ValueName | undefined {
    if (this.mask === undefined) return undefined;
    return this.op('Expand', [this.op('Unsqueeze', [this.mask, this.ints(1)]), this.op('Shape', [like])]);
  }

  /** The last node of a loss. */
  finish(
    operator: string,
    inputs: readonly ValueName[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): ValueName {
    return this.builder.node(operator, inputs, { name: 'loss', attributes });
  }
}
