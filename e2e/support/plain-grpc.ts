import {
  credentials,
  loadPackageDefinition,
  makeGenericClientConstructor,
  Metadata,
  type Client,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { join } from 'node:path';
import { ROOT } from './paths.js';

/** A message as a client without our code sees it: numbers are text, enumerations are names. */
export type Plain = Record<string, unknown>;

/** A client as anybody makes one from the proto files alone, with grpc-js and its loader. */
export class PlainClient {
  private readonly client: Client & Record<string, (...given: unknown[]) => unknown>;

  constructor(file: string, service: string, address: string) {
    const definition = loadSync(join(ROOT, 'proto', file), {
      includeDirs: [join(ROOT, 'proto')],
      keepCase: true,
      longs: String,
      enums: String,
      defaults: true,
    });
    const found = service
      .split('.')
      .reduce<unknown>(
        (scope, name) => (scope as Record<string, unknown>)[name],
        loadPackageDefinition(definition),
      );
    const Constructor = found as ReturnType<typeof makeGenericClientConstructor>;
    this.client = new Constructor(address, credentials.createInsecure()) as unknown as typeof this.client;
  }

  /** One unary call. Rejects with the status as grpc-js gives it. */
  call(
    method: string,
    request: Plain,
    options: { metadata?: Record<string, string>; deadlineMs?: number } = {},
  ): Promise<Plain> {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(options.metadata ?? {})) metadata.set(name, value);
    const deadline = Date.now() + (options.deadlineMs ?? 15_000);
    return new Promise((resolve, reject) => {
      this.client[method]?.(request, metadata, { deadline }, (fault: ServiceError | null, answer: Plain) => {
        if (fault) reject(fault);
        else resolve(answer);
      });
    });
  }

  close(): void {
    this.client.close();
  }
}

/** Names of the services that a server's reflection lists, asked on the wire. */
export function reflectedServices(address: string, version: 'v1' | 'v1alpha'): Promise<string> {
  const Reflection = makeGenericClientConstructor(
    {
      info: {
        path: `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
        requestStream: true,
        responseStream: true,
        requestSerialize: (bytes: Buffer) => bytes,
        requestDeserialize: (bytes: Buffer) => bytes,
        responseSerialize: (bytes: Buffer) => bytes,
        responseDeserialize: (bytes: Buffer) => bytes,
      },
    },
    'ServerReflection',
  );
  const client = new Reflection(address, credentials.createInsecure());
  const stream = (client as unknown as { info(options: object): NodeJS.ReadWriteStream }).info({
    deadline: Date.now() + 15_000,
  });
  return new Promise<string>((resolve, reject) => {
    stream.on('data', (bytes: Buffer) => {
      resolve(bytes.toString('latin1'));
    });
    stream.on('error', reject);
    // ServerReflectionRequest { list_services: "*" }: field 7, one byte of text.
    (stream as unknown as { write(bytes: Buffer): void }).write(Buffer.from([0x3a, 0x01, 0x2a]));
    stream.end();
  }).finally(() => {
    client.close();
  });
}
