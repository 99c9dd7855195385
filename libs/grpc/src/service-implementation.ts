import type { DescMethod, DescService, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import type { CallContext } from './call-context.js';

type Input<M extends DescMethod> = MessageShape<M['input']>;
type Output<M extends DescMethod> = MessageInitShape<M['output']>;

/** Handler of one method: promises for single answers, async iterables for streams. */
export type Handler<M extends DescMethod> = (
  request: M['methodKind'] extends 'unary' | 'server_streaming' ? Input<M> : AsyncIterable<Input<M>>,
  context: CallContext,
) => M['methodKind'] extends 'unary' | 'client_streaming' ? Promise<Output<M>> : AsyncIterable<Output<M>>;

/** A class that implements this has every method of the service: a missing one does not compile. */
export type ServiceImplementation<S extends DescService> = {
  [K in keyof S['method']]: Handler<S['method'][K]>;
};

/** A service with its implementation, types erased for the server. */
export interface BoundService {
  readonly service: DescService;
  readonly handler: (localName: string) => (request: unknown, context: CallContext) => unknown;
}

/** Binds an implementation to its service. */
export function implementService<S extends DescService>(
  service: S,
  implementation: ServiceImplementation<S>,
): BoundService {
  const methods = implementation as unknown as Record<
    string,
    (request: unknown, context: CallContext) => unknown
  >;
  return {
    service,
    handler: (localName) => {
      const method = methods[localName];
      if (!method) throw new TypeError(`${service.typeName}.${localName} has no implementation.`);
      return method.bind(implementation);
    },
  };
}
