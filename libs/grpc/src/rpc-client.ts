import type { DescMethod, DescService, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { Client, credentials, type ChannelCredentials } from '@grpc/grpc-js';
import type { CallOptions, Channel } from './channel.js';
import { bidiCall, clientStreamCall, serverStreamCall, unaryCall } from './client-calls.js';
import { MAX_MESSAGE_BYTES } from './limits.js';

type Init<M extends DescMethod> = MessageInitShape<M['input']>;
type Answer<M extends DescMethod> = MessageShape<M['output']>;
type ClientMethod<M extends DescMethod> = (
  request: M['methodKind'] extends 'unary' | 'server_streaming' ? Init<M> : AsyncIterable<Init<M>>,
  options?: CallOptions,
) => M['methodKind'] extends 'unary' | 'client_streaming' ? Promise<Answer<M>> : AsyncIterable<Answer<M>>;

/** A typed client: a method for each RPC, and `close`. */
export type RpcClient<S extends DescService> = {
  readonly [K in keyof S['method']]: ClientMethod<S['method'][K]>;
} & {
  /** host:port that the client calls. */
  readonly address: string;
  close(): void;
};

/** How a client is made. */
export interface ClientOptions {
  /** host:port, or a name of several addresses that are used in turn. */
  readonly address: string;
  /** Deadline of calls that name none, in milliseconds. */
  readonly defaultDeadlineMs: number;
  readonly channelCredentials?: ChannelCredentials;
}

const CHANNEL_OPTIONS = {
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
};

/**
 * A typed client of a service. Errors of the server come back as the ThalamusError it threw; a server that cannot be
 * reached is UPSTREAM_UNAVAILABLE, and so is every call after `close`; calls under way then go on. Every call has a deadline, at most the remaining time of `parent`.
 */
export function createClient<S extends DescService>(service: S, options: ClientOptions): RpcClient<S> {
  const client = new Client(
    options.address,
    options.channelCredentials ?? credentials.createInsecure(),
    CHANNEL_OPTIONS,
  );
  const { address, defaultDeadlineMs } = options;
  let closed = false;
  const channel: Channel = { client, address, defaultDeadlineMs, isClosed: () => closed };
  const methods = service.methods.map((method) => [method.localName, bindMethod(channel, method)] as const);
  const close = () => {
    closed = true;
    client.close();
  };
  return { ...Object.fromEntries(methods), address, close } as unknown as RpcClient<S>;
}

function bindMethod(channel: Channel, method: DescMethod) {
  switch (method.methodKind) {
    case 'unary':
      return unaryCall(channel, method);
    case 'server_streaming':
      return serverStreamCall(channel, method);
    case 'client_streaming':
      return clientStreamCall(channel, method);
    case 'bidi_streaming':
      return bidiCall(channel, method);
  }
}
