import { ThalamusError } from '@thalamus/errors';
import type { BoundService } from '@thalamus/grpc';
import { RPC_ACCESS } from '../../domain/access.js';
import type { CallScopes } from './call-scopes.js';

/** A service whose every RPC first checks key and role by the table of access; one that has no entry is refused. */
export function guardedService(bound: BoundService, scopes: CallScopes): BoundService {
  const names = new Map(bound.service.methods.map(({ localName, name }) => [localName, name]));
  return {
    service: bound.service,
    handler: (localName) => {
      const rpc = `${bound.service.typeName}/${names.get(localName) ?? localName}`;
      const access = RPC_ACCESS[rpc];
      const handle = bound.handler(localName);
      if (access === 'open') return handle;
      return (request, context) => {
        if (access === undefined)
          throw new ThalamusError('PERMISSION_DENIED', `No role is set for ${rpc}, so nobody may call it.`);
        scopes.requireRole(context, access);
        return handle(request, context);
      };
    },
  };
}
