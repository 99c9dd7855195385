import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { ApiError, send } from './client.js';
import { eventsOf } from './events.js';
import type { LiveSnapshot } from './types.js';

/** Where the stream stands: what is shown may be old. */
export type LiveState = 'connecting' | 'live' | 'stale';

const HISTORY = 120;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8_000;
/** A snapshot comes each second; a connection that is silent for longer is as good as gone. */
const SILENCE_MS = 5_000;

/** Snapshots of the last two minutes, oldest first, by server-sent events; reconnects with growing pauses. */
export function useLive(): { state: LiveState; history: readonly LiveSnapshot[] } {
  const queries = useQueryClient();
  const [state, setState] = useState<LiveState>('connecting');
  const [history, setHistory] = useState<readonly LiveSnapshot[]>([]);
  useEffect(() => {
    const stop = new AbortController();
    void follow(stop.signal, {
      setState,
      push: (snapshot) => {
        setHistory((old) => [...old.slice(1 - HISTORY), snapshot]);
      },
      // The key is no longer one: asking who is signed in leads to the sign-in page.
      refused: () => void queries.invalidateQueries({ queryKey: ['session'] }),
    });
    return () => {
      stop.abort();
    };
  }, [queries]);
  return { state, history };
}

interface Follower {
  readonly setState: (state: LiveState) => void;
  readonly push: (snapshot: LiveSnapshot) => void;
  readonly refused: () => void;
}

async function follow(signal: AbortSignal, { setState, push, refused }: Follower): Promise<void> {
  for (let pauseMs = FIRST_PAUSE_MS; !signal.aborted; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
    const silence = new AbortController();
    const startTimer = () =>
      setTimeout(() => {
        silence.abort();
      }, SILENCE_MS);
    let timer = startTimer();
    try {
      // fetch and not EventSource: the key travels in a header, never in an address.
      const response = await send('/admin/v1/live', { signal: AbortSignal.any([signal, silence.signal]) });
      for await (const data of eventsOf(response.body ?? new ReadableStream())) {
        clearTimeout(timer);
        timer = startTimer();
        pauseMs = FIRST_PAUSE_MS;
        setState('live');
        push(JSON.parse(data) as LiveSnapshot);
      }
    } catch (fault) {
      if (fault instanceof ApiError && fault.status === 401) refused();
    }
    clearTimeout(timer);
    if (hasLeft(signal)) return;
    setState('stale');
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** Asked anew: the signal may have fired since the loop began its round. */
function hasLeft(signal: AbortSignal): boolean {
  return signal.aborted;
}
