import { useQuery, useQueryClient } from '@tanstack/react-query';
import { api, ApiError, keyOfTab } from './client.js';
import type { Session } from './types.js';

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

/** Who is signed in: by the key of this tab, or nobody where the gateway lets callers look without one. */
export function useSession(): SessionState {
  const queries = useQueryClient();
  const query = useQuery({ queryKey: ['session'], queryFn: api.session, staleTime: 60_000 });
  const change = (key: string) => {
    keyOfTab.set(key);
    queries.clear();
    void query.refetch();
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
  if (query.error instanceof ApiError && query.error.status === 401) {
    const reason = keyOfTab.get() === '' ? '' : query.error.message;
    return { kind: 'signed-out', reason, signIn: change };
  }
  if (query.error) return { kind: 'failed', fault: query.error, retry: () => void query.refetch() };
  return { kind: 'loading' };
}
