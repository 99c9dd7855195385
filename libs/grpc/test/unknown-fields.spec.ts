import { create, toBinary, type Message, type UnknownField } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';
import { artifactV1, inference, registryV1 } from '@thalamus/contracts';
import { Client, credentials, Metadata, status as Code, type ServiceError } from '@grpc/grpc-js';
import { ThalamusError } from '@thalamus/errors';
import { afterEach, describe, expect, it } from 'vitest';
import { fromGrpcError } from '../src/index.js';
import { refuseUnknownFields } from '../src/unknown-fields.js';
import { closeAll, failure, serve } from './support/loopback.js';

afterEach(closeAll);

/** A field that no schema of ours has. */
const stray: UnknownField = { no: 4_711, wireType: WireType.Varint, data: new Uint8Array([1]) };
const withStray = <M extends Message>(message: M): M => Object.assign(message, { $unknown: [stray] });

function violations(work: () => void): readonly string[] {
  try {
    work();
  } catch (fault) {
    if (ThalamusError.is(fault)) return fault.violations.map(({ field }) => field);
    throw fault;
  }
  return [];
}

describe('unknown fields of a request', () => {
  it('are found at the top, in lists, in maps and in the chosen case of a oneof', () => {
    const schema = inference.ModelInferRequestSchema;
    const request = create(schema, {
      modelName: 'm',
      inputs: [{ name: 'text', contents: {} }, { name: 'mask' }],
      parameters: { task: { parameterChoice: { case: 'stringParam', value: 'x' } } },
    });
    expect(
      violations(() => {
        refuseUnknownFields(schema, request);
      }),
    ).toEqual([]);
    withStray(request);
    withStray(request.inputs[1]!);
    withStray(request.inputs[0]!.contents!);
    withStray(request.parameters['task']!);
    expect(
      violations(() => {
        refuseUnknownFields(schema, request);
      }),
    ).toEqual(['#4711', 'parameters[task].#4711', 'inputs[0].contents.#4711', 'inputs[1].#4711']);
    const put = create(artifactV1.PutRequestSchema, {
      part: { case: 'header', value: create(artifactV1.PutHeaderSchema) },
    });
    withStray(put.part.value as Message);
    expect(
      violations(() => {
        refuseUnknownFields(artifactV1.PutRequestSchema, put);
      }),
    ).toEqual(['header.#4711']);
  });

  it('are named up to a bound', () => {
    const request = create(registryV1.GetResourceRequestSchema);
    request.$unknown = Array.from({ length: 10_000 }, (_, index) => ({ ...stray, no: index + 100 }));
    expect(
      violations(() => {
        refuseUnknownFields(registryV1.GetResourceRequestSchema, request);
      }),
    ).toHaveLength(16);
  });

  it('are REQUEST_INVALID over the wire, naming the field, in unary calls and in streams', async () => {
    let calls = 0;
    const { address, artifacts } = await serve({
      stat: () => {
        calls += 1;
        return Promise.resolve({});
      },
      put: async (parts) => {
        for await (const part of parts) if (part.part.case === undefined) return {};
        return {};
      },
    });
    const bytes = toBinary(
      artifactV1.StatRequestSchema,
      withStray(create(artifactV1.StatRequestSchema, { digests: ['a'] })),
    );
    const client = new Client(address, credentials.createInsecure());
    const asIs = (value: Buffer) => value;
    const fault = await new Promise<ServiceError | null>((resolve) => {
      client.makeUnaryRequest(
        '/thalamus.artifact.v1.ArtifactService/Stat',
        asIs,
        asIs,
        Buffer.from(bytes),
        new Metadata(),
        {},
        resolve,
      );
    });
    client.close();
    expect(fault?.code).toBe(Code.INVALID_ARGUMENT);
    expect(fromGrpcError(fault, 'Stat')).toMatchObject({
      code: 'REQUEST_INVALID',
      violations: [{ field: '#4711' }],
    });
    expect(calls).toBe(0);
    async function* parts() {
      yield Promise.resolve(withStray(create(artifactV1.PutRequestSchema)));
    }
    expect(await failure(artifacts.put(parts()))).toMatchObject({ code: 'REQUEST_INVALID' });
  });

  it('of an answer do not trouble a client: a newer server may say more', async () => {
    const { artifacts } = await serve({
      stat: () => Promise.resolve(withStray(create(artifactV1.StatResponseSchema))),
    });
    expect((await artifacts.stat({})).artifacts).toEqual([]);
  });
});
