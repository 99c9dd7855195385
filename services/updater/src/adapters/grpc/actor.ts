import { RPC_METADATA } from '@thalamus/contracts';
import type { CallContext } from '@thalamus/grpc';
import type { Actor } from '../../application/registry-writer.js';

/** Who makes a call, as the calling service says; the audit records it. */
export function actorOf(context: CallContext, action: string): Actor {
  return {
    id: context.metadata.get(RPC_METADATA.actor) ?? 'unnamed',
    tenant: context.tenant || 'default',
    action,
    signal: context.signal,
  };
}
