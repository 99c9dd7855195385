import { create } from '@bufbuild/protobuf';
import { ThalamusError } from '@thalamus/errors';
import type { DataType, Tensor } from '@thalamus/tensor';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from './codec/gen/onnx/onnx_pb.js';
import {
  attributeProto,
  graphAttribute,
  renameNode,
  tensorProto,
  valueInfo,
  type AttributeValue,
  type Dimension,
} from './graph-protos.js';
import { graphOf, type OnnxModel } from './onnx-model.js';

/** Name of a value in the graph. */
export type ValueName = string;

/** Options of a model that is built. */
export interface BuildOptions {
  readonly name: string;
  /** Version of the default operator set. Default 21. */
  readonly opset?: number;
  /** Also imports com.microsoft, version 1. */
  readonly microsoft?: boolean;
}

/** Builds an ONNX graph node by node. Names are unique; a value may be used only after it has been made. */
export class GraphBuilder {
  private readonly nodes: NodeProto[] = [];
  private readonly initializers: TensorProto[] = [];
  private readonly inputs: ValueInfoProto[] = [];
  private readonly outputs: ValueInfoProto[] = [];
  private readonly names = new Set<string>();
  private counter = 0;

  /** `prefix` stands before the names of constants and nodes: a graph inside another must not use the names of that one. */
  constructor(private readonly prefix = '') {}

  /** A name that is not taken yet. */
  fresh(hint: string): ValueName {
    let name = `${this.prefix}${hint}`;
    while (this.names.has(name)) name = `${this.prefix}${hint}_${++this.counter}`;
    return name;
  }

  /** Declares a graph input. */
  input(name: string, dtype: DataType, shape: readonly Dimension[]): ValueName {
    this.claim(name);
    this.inputs.push(valueInfo(name, dtype, shape));
    return name;
  }

  /** Makes a value of the graph around this one known: the graph of an `If` may use it. */
  outer(name: ValueName): ValueName {
    this.names.add(name);
    return name;
  }

  /** Declares that a value is a graph output. */
  output(name: ValueName, dtype: DataType, shape: readonly Dimension[]): void {
    this.need(name, 'output');
    this.outputs.push(valueInfo(name, dtype, shape));
  }

  /** Adds a constant. */
  constant(hint: string, value: Tensor): ValueName {
    const name = this.fresh(hint);
    this.claim(name);
    this.initializers.push(tensorProto(name, value));
    return name;
  }

  /** Adds a node with one output and returns the name of its value. */
  node(operator: string, inputs: readonly ValueName[], options: NodeOptions = {}): ValueName {
    return this.nodeWithOutputs(
      operator,
      inputs,
      [options.name ?? operator.toLowerCase()],
      options,
    )[0] as ValueName;
  }

  /** Adds a node with several outputs and returns their names. An empty input name stands for an omitted input. */
  nodeWithOutputs(
    operator: string,
    inputs: readonly ValueName[],
    outputs: readonly string[],
    options: NodeOptions = {},
  ): ValueName[] {
    for (const input of inputs) if (input !== '') this.need(input, operator);
    const names = outputs.map((hint) => {
      const name = this.fresh(hint);
      this.claim(name);
      return name;
    });
    const attribute = [
      ...Object.entries(options.attributes ?? {}).map(([name, value]) => attributeProto(name, value)),
      ...Object.entries(options.graphs ?? {}).map(([name, model]) => graphAttribute(name, graphOf(model))),
    ];
    this.nodes.push(
      create(NodeProtoSchema, {
        name: `${operator}_${this.nodes.length}`,
        opType: operator,
        domain: options.domain ?? '',
        input: [...inputs],
        output: names,
        attribute,
      }),
    );
    return names;
  }

  /**
   * Copies the nodes and constants of another model into this graph under a prefix, graphs of an `If` as well. Inputs of
   * the model are bound to values of this graph by name, and so may constants be, which are then not copied; returns the names that
   * its outputs have here.
   * @throws GRAPH_INVALID when an input is not bound.
   */
  embed(
    model: OnnxModel,
    prefix: string,
    bindings: Readonly<Record<string, ValueName>>,
  ): Record<string, ValueName> {
    const graph = graphOf(model);
    const constants = new Set(graph.initializer.map((tensor) => tensor.name));
    for (const { name } of graph.input) {
      if (!constants.has(name) && bindings[name] === undefined) {
        throw new ThalamusError(
          'GRAPH_INVALID',
          `Input ${name} of the embedded graph is not bound to a value.`,
        );
      }
    }
    const rename = (name: string): string => (name === '' ? '' : (bindings[name] ?? `${prefix}${name}`));
    for (const tensor of graph.initializer) {
      if (bindings[tensor.name] !== undefined) continue;
      const name = rename(tensor.name);
      this.claim(name);
      this.initializers.push({ ...tensor, name });
    }
    for (const node of graph.node) {
      const renamed = renameNode(node, rename, prefix);
      for (const name of renamed.output) if (name !== '') this.claim(name);
      this.nodes.push(renamed);
    }
    return Object.fromEntries(graph.output.map(({ name }) => [name, rename(name)]));
  }

  /** Takes over an input of another graph under its own name. */
  copyInput(info: ValueInfoProto): void {
    this.claim(info.name);
    this.inputs.push(info);
  }

  /** Takes over a constant of another graph under its own name. */
  copyConstant(constant: TensorProto): void {
    this.claim(constant.name);
    this.initializers.push(constant);
  }

  /** Takes over a node of another graph: its inputs must be known here, its outputs keep their names. */
  copyNode(node: NodeProto): void {
    for (const input of node.input) if (input !== '') this.need(input, node.opType);
    for (const name of node.output) if (name !== '') this.claim(name);
    this.nodes.push({ ...node, name: `${node.opType}_${this.nodes.length}` });
  }

  /** Takes over an output of another graph; the value must be known here. */
  copyOutput(info: ValueInfoProto): void {
    this.need(info.name, 'output');
    this.outputs.push(info);
  }

  /** The finished model. */
  build(options: BuildOptions): OnnxModel {
    const opsetImport = [
      create(OperatorSetIdProtoSchema, { domain: '', version: BigInt(options.opset ?? 21) }),
    ];
    if (options.microsoft ?? false)
      opsetImport.push(create(OperatorSetIdProtoSchema, { domain: 'com.microsoft', version: 1n }));
    return create(ModelProtoSchema, {
      irVersion: 10n,
      producerName: 'thalamus',
      opsetImport,
      graph: create(GraphProtoSchema, {
        name: options.name,
        node: this.nodes,
        initializer: this.initializers,
        input: this.inputs,
        output: this.outputs,
      }),
    });
  }

  private claim(name: string): void {
    if (this.names.has(name))
      throw new ThalamusError('GRAPH_INVALID', `The value name ${name} is taken already.`);
    this.names.add(name);
  }

  private need(name: string, user: string): void {
    if (!this.names.has(name))
      throw new ThalamusError('GRAPH_INVALID', `${user} uses ${name}, which nothing has made yet.`);
  }
}

/** How a node is made. */
export interface NodeOptions {
  /** Hint for the name of its output. */
  readonly name?: string;
  /** Operator domain; default: the ONNX one. */
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  /** Attributes that are graphs, such as the branches of an `If`; they may use values of the graph around them. */
  readonly graphs?: Readonly<Record<string, OnnxModel>>;
}
