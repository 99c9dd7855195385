import type { DescService } from '@bufbuild/protobuf';
import { ThalamusError } from '@thalamus/errors';
import type { CallOptions } from './channel.js';
import { createClient, type ClientOptions, type RpcClient } from './rpc-client.js';

type Call = (request: unknown, options?: CallOptions) => unknown;
type Calls = Readonly<Record<string, Call>> & { readonly address: string; close(): void };

/**
 * A client of a service whose replicas elect one that writes: a call that another replica refuses with NOT_LEADER is made once more at
 * the address that the error names, and later ones go there until it refuses or is gone. Streams of requests are not made again.
 */
export function createLeaderClient<S extends DescService>(service: S, options: ClientOptions): RpcClient<S> {
  const connect = (address: string) => createClient(service, { ...options, address }) as unknown as Calls;
  const home = connect(options.address);
  let leader: Calls | undefined;
  const forget = () => {
    leader?.close();
    leader = undefined;
  };
  /** Where a call that failed is to be made again; undefined: nowhere. */
  const elsewhere = (fault: unknown, asked: Calls): Calls | undefined => {
    if (!ThalamusError.is(fault)) return undefined;
    if (fault.code === 'UPSTREAM_UNAVAILABLE' && asked === leader) forget();
    if (fault.code !== 'NOT_LEADER') return undefined;
    const address = fault.metadata['leader'] ?? '';
    // Another call may have found the leader meanwhile.
    if (leader?.address !== address) forget();
    if (address === '' || address === asked.address) return undefined;
    leader ??= connect(address);
    return leader;
  };
  const methods = service.methods.map(({ localName, methodKind }) => {
    const callOf = (client: Calls, ...args: Parameters<Call>) => (client[localName] as Call)(...args);
    const call = (...args: Parameters<Call>): unknown => {
      const asked = leader ?? home;
      if (methodKind === 'unary')
        return (callOf(asked, ...args) as Promise<unknown>).catch((fault: unknown) => {
          const next = elsewhere(fault, asked);
          if (!next) throw fault;
          return callOf(next, ...args);
        });
      if (methodKind === 'server_streaming')
        return followed(asked, (client) => callOf(client, ...args), elsewhere);
      return callOf(asked, ...args);
    };
    return [localName, call] as const;
  });
  const close = () => {
    forget();
    home.close();
  };
  return { ...Object.fromEntries(methods), address: options.address, close } as unknown as RpcClient<S>;
}

/** Answers of a stream, from elsewhere when it is refused before the first. */
async function* followed(
  asked: Calls,
  call: (client: Calls) => unknown,
  elsewhere: (fault: unknown, asked: Calls) => Calls | undefined,
): AsyncGenerator {
  let hasBegun = false;
  try {
    for await (const answer of call(asked) as AsyncIterable<unknown>) {
      hasBegun = true;
      yield answer;
    }
  } catch (fault) {
    const next = hasBegun ? undefined : elsewhere(fault, asked);
    if (!next) throw fault;
    yield* call(next) as AsyncIterable<unknown>;
  }
}
