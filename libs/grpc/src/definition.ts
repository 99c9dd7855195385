import {
  create,
  fromBinary,
  toBinary,
  type DescFile,
  type DescMessage,
  type DescMethod,
  type DescService,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { MethodDefinition } from '@grpc/grpc-js';

const codec = <D extends DescMessage>(schema: D) => ({
  serialize: (value: MessageInitShape<D>): Buffer => {
    const bytes = toBinary(schema, create(schema, value));
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  },
  deserialize: (bytes: Buffer): MessageShape<D> => fromBinary(schema, bytes),
});

/** A grpc-js method over protobuf-es messages; requests and answers may be plain initialisers. */
export type RpcMethodDefinition = MethodDefinition<unknown, unknown>;

/** Full path of a method, `/package.Service/Method`. */
export function methodPath(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** The grpc-js definition of one method. */
export function methodDefinition(method: DescMethod): RpcMethodDefinition {
  const input = codec(method.input);
  const output = codec(method.output);
  return {
    path: methodPath(method),
    originalName: method.localName,
    requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
    responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
    requestSerialize: input.serialize as (value: unknown) => Buffer,
    requestDeserialize: input.deserialize,
    responseSerialize: output.serialize as (value: unknown) => Buffer,
    responseDeserialize: output.deserialize,
  };
}

/** Encodes and decodes the messages of a method. */
export interface MethodCodec {
  /** Bytes of an answer. */
  readonly encodeAnswer: (value: unknown) => Buffer;
  /** The request in these bytes. @throws when they are not one */
  readonly decodeRequest: (bytes: Buffer) => Message;
}

/** The server's side of a method's codec. */
export function methodCodec(method: DescMethod): MethodCodec {
  return {
    encodeAnswer: codec(method.output).serialize as (value: unknown) => Buffer,
    decodeRequest: codec(method.input).deserialize,
  };
}

const asIs = (bytes: Buffer): Buffer => bytes;

/**
 * The grpc-js definition of a service for a server, keyed by method name. Messages pass as bytes: they are decoded where a
 * handler is called, so that malformed ones are answered with our errors and not with the text of a decoder.
 */
export function byteServiceDefinition(
  service: DescService,
): Record<string, MethodDefinition<Buffer, Buffer>> {
  return Object.fromEntries(
    service.methods.map((method) => [
      method.name,
      {
        ...methodDefinition(method),
        requestSerialize: asIs,
        requestDeserialize: asIs,
        responseSerialize: asIs,
        responseDeserialize: asIs,
      },
    ]),
  );
}

const withImports = (file: DescFile): DescFile[] => [...file.dependencies.flatMap(withImports), file];

/**
 * What the reflection service needs: the file descriptors of the services, of what else their answers may carry, such as
 * details of errors, and of all that these import.
 */
export function packageDefinition(
  services: readonly DescService[],
  others: readonly DescFile[] = [],
): Record<string, unknown> {
  const named = [...services.map(({ file }) => file), ...others];
  const files = [...new Set(named.flatMap(withImports))];
  return {
    descriptors: {
      format: 'Protocol Buffer 3 DescriptorProto',
      type: {},
      fileDescriptorProtos: files.map((file) => Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto))),
    },
  };
}
