import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { api, ApiError } from '../../api/client.js';
import type { Task } from '../../api/types.js';
import { costKinds, flagText, weigh, weightsOf, type Weights } from './decision-math.js';

const AGAIN_MS = 2_000;
const NOTHING: Weights = {};

/** The router's decision for a prompt, weighed anew in the page when weights move: that needs no request. */
export function useDecision(task: Task, prompt: string) {
  const [moved, setMoved] = useState<Weights>(NOTHING);
  const query = useQuery({
    queryKey: ['route', task, prompt],
    queryFn: ({ signal }) => api.route(prompt, task, signal),
    enabled: prompt !== '',
    // The decision before stays until the new one is there; one of another task would be about others.
    placeholderData: (old, oldQuery) => (oldQuery?.queryKey[1] === task ? old : undefined),
    refetchInterval: ({ state }) =>
      state.error instanceof ApiError && state.error.isUnreachable ? AGAIN_MS : false,
  });
  const decision = query.data;
  const given = useMemo(() => weightsOf(decision?.ranked ?? []), [decision]);
  const weights = useMemo(() => ({ ...given, ...moved }), [given, moved]);
  const ranked = useMemo(() => weigh(decision?.ranked ?? [], weights), [decision, weights]);
  const costs = useMemo(() => costKinds(decision?.ranked ?? []), [decision]);
  const flags = flagText(moved, given);
  return {
    decision,
    ranked,
    costs,
    weights,
    isMoved: flags !== '',
    /** What any client asks for to get this very choice. */
    model: flags === '' ? 'auto' : `auto:${flags}`,
    fault: query.error,
    isFetching: query.isFetching,
    isOld: query.isPlaceholderData,
    retry: () => void query.refetch(),
    move: (name: string, weight: number) => {
      setMoved((old) => ({ ...old, [name]: weight }));
    },
    reset: () => {
      setMoved(NOTHING);
    },
  };
}
