import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { FileDescriptorProtoSchema, type FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import { artifactV1, inference } from '@thalamus/contracts';
import { Client, credentials } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { closeAll, serve } from './support/loopback.js';

afterEach(closeAll);

// Field numbers of grpc.reflection.v1.ServerReflectionRequest and its answer; v1alpha has the same.
const FILE_BY_FILENAME = 3;
const FILE_CONTAINING_SYMBOL = 4;
const LIST_SERVICES = 7;
const FILES = 4;
const SERVICES = 6;

/** Asks one question of the reflection service, by bytes: no schema of it is at hand. */
async function ask(address: string, version: string, field: number, value: string): Promise<Uint8Array[]> {
  const client = new Client(address, credentials.createInsecure());
  const call = client.makeBidiStreamRequest(
    `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => bytes,
  );
  call.write(Buffer.from(new BinaryWriter().tag(field, WireType.LengthDelimited).string(value).finish()));
  try {
    for await (const bytes of call) return lists(bytes as Buffer);
    return [];
  } finally {
    call.on('error', () => undefined);
    call.cancel();
    client.close();
  }
}

/** The file of a symbol and all that it imports, asked for by name where they did not come along, as grpcurl does. */
async function filesOf(address: string, version: string, symbol: string): Promise<FileDescriptorProto[]> {
  const files = new Map<string, FileDescriptorProto>();
  const take = (answers: readonly Uint8Array[]) => {
    for (const bytes of answers) {
      const file = fromBinary(FileDescriptorProtoSchema, bytes);
      files.set(file.name, file);
    }
  };
  take(await ask(address, version, FILE_CONTAINING_SYMBOL, symbol));
  for (;;) {
    const missing = [...files.values()]
      .flatMap(({ dependency }) => dependency)
      .find((name) => !files.has(name));
    if (missing === undefined) return [...files.values()];
    const answers = await ask(address, version, FILE_BY_FILENAME, missing);
    expect(answers, `the server gives ${missing}`).not.toEqual([]);
    take(answers);
  }
}

/** The entries of the list in an answer, whichever it is. */
function lists(bytes: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (const [number, body] of fields(bytes))
    if (number === FILES || number === SERVICES) for (const [, entry] of fields(body)) found.push(entry);
  return found;
}

function* fields(bytes: Uint8Array): Iterable<[number, Uint8Array]> {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (wireType === WireType.LengthDelimited) yield [number, reader.bytes()];
    else reader.skip(wireType, number);
  }
}

describe.each(['v1', 'v1alpha'])('reflection %s', (version) => {
  it('lists the services of this server and health', async () => {
    const { address } = await serve({});
    const entries = await ask(address, version, LIST_SERVICES, '*');
    const names = entries.map((entry) => Buffer.from([...fields(entry)][0]![1]).toString());
    expect(names.sort()).toEqual([
      'grpc.health.v1.Health',
      'inference.GRPCInferenceService',
      'thalamus.artifact.v1.ArtifactService',
    ]);
  });

  it('describes a service with every file that its messages need', async () => {
    const { address } = await serve({});
    for (const service of [artifactV1.ArtifactService, inference.GRPCInferenceService]) {
      const files = await filesOf(address, version, service.typeName);
      const main = files.find((file) =>
        file.service.some(({ name }) => `${file.package}.${name}` === service.typeName),
      );
      const registry = createFileRegistry(main!, (name) => files.find((file) => file.name === name));
      const described = registry.getService(service.typeName);
      expect(described?.methods.map(({ name }) => name)).toEqual(service.methods.map(({ name }) => name));
      const [one, own] = [described?.methods[0]?.input, service.methods[0]?.input];
      expect(one?.fields.map(({ name, number }) => [name, number])).toEqual(
        own?.fields.map(({ name, number }) => [name, number]),
      );
    }
  });
});
