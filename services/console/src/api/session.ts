import { useQuery, useQueryClient } from '@tanstack/react-query';
import { api, ApiError, keyOfTab } from './client.js';
import type { Role, Session } from './types.js';

/** Where signing in stands. */
export type SessionState =
  | { readonly kind: 'loading' }
  | { readonly kind: 'signed-out'; readonly reason: string; readonly signIn: (key: string) => void }
  | { readonly kind: 'failed'; readonly fault: unknown; readonly retry: () => void }
  | {
      readonly kind: 'signed-in';
      readonly session: Session;
      readonly signIn: (key: string) => void;
      readonly signOut: () => void;
    };

const AGAIN_MS = 2_000;
const RANKS: Readonly<Record<Role, number>> = { viewer: 0, operator: 1, admin: 2 };

/** Whether a role may do what another may. What the gateway refuses, no page need offer. */
export function mayActAs(role: Role, needed: Role): boolean {
  return RANKS[role] >= RANKS[needed];
}

const SESSION = ['session'] as const;

/** Who is signed in: by the key of this tab, or nobody where the gateway lets callers look without one. */
export function useSession(): SessionState {
  const queries = useQueryClient();
  const query = useQuery({
    queryKey: SESSION,
    queryFn: api.session,
    staleTime: 60_000,
    // A gateway that starts again is found again without a click.
    refetchInterval: ({ state }) =>
      state.error instanceof ApiError && state.error.isUnreachable ? AGAIN_MS : false,
  });
  const change = (key: string) => {
    keyOfTab.set(key);
    queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== SESSION[0] });
    void queries.resetQueries({ queryKey: SESSION });
  };
  if (query.error instanceof ApiError && query.error.status === 401)
    return {
      kind: 'signed-out',
      reason: keyOfTab.get() === '' ? '' : query.error.message,
      signIn: change,
    };
  if (query.data)
    return {
      kind: 'signed-in',
      session: query.data,
      signIn: change,
      signOut: () => {
        change('');
      },
    };
  if (query.error) return { kind: 'failed', fault: query.error, retry: () => void query.refetch() };
  return { kind: 'loading' };
}

/** The session of a page: pages are shown to those who are signed in. */
export function useRole(): Role {
  return useQuery({ queryKey: SESSION, queryFn: api.session, staleTime: 60_000 }).data?.role ?? 'viewer';
}
