import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { ThalamusError } from '@thalamus/errors';
import { ModelProtoSchema, type GraphProto, type ModelProto } from './codec/gen/onnx/onnx_pb.js';

/** An ONNX model in memory. */
export type OnnxModel = ModelProto;
/** A graph of a model. */
export type OnnxGraph = GraphProto;

/** Parses the bytes of a model. @throws GRAPH_INVALID when they are not a model or are cut short. */
export function decodeModel(bytes: Uint8Array): OnnxModel {
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new ThalamusError(
      'GRAPH_INVALID',
      'The file is not an ONNX model, or it is cut short; fetch or export it again.',
      { cause },
    );
  }
  if (!model.graph) throw new ThalamusError('GRAPH_INVALID', 'The model holds no graph; export it again.');
  return model;
}

/** The bytes of a model; the same model gives the same bytes. */
export function encodeModel(model: OnnxModel): Uint8Array {
  return toBinary(ModelProtoSchema, model);
}

/** The main graph of a model. */
export function graphOf(model: OnnxModel): OnnxGraph {
  if (!model.graph) throw new ThalamusError('GRAPH_INVALID', 'The model holds no graph.');
  return model.graph;
}
