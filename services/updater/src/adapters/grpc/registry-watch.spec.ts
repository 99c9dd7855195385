import type { RegistryView } from '@thalamus/registry';
import { localContext } from '@thalamus/grpc';
import { describe, expect, it } from 'vitest';
import { RegistryGrpcService } from './registry.service.js';

/** An empty registry that never changes. */
const view = { revision: 7n, list: () => [], onChange: () => () => undefined } as unknown as RegistryView;
const service = new RegistryGrpcService({ view } as unknown as ConstructorParameters<
  typeof RegistryGrpcService
>[0]);

describe('a watch of the registry', () => {
  it.each(['signal', 'draining'] as const)('ends on %s while it waits for a change', async (name) => {
    const end = new AbortController();
    const context = localContext({ [name]: end.signal });
    const request = { $typeName: 'thalamus.registry.v1.WatchRequest' as const, keyPrefix: '' };
    const events = service.watch(request, context)[Symbol.asyncIterator]();
    expect((await events.next()).value).toEqual({ event: { case: 'caughtUpRevision', value: 7n } });
    const next = events.next();
    end.abort();
    expect((await next).done).toBe(true);
  });
});
