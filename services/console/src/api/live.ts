import { useEffect, useState } from 'react';
import { headers } from './client.js';
import type { LiveSnapshot } from './types.js';

/** Where the stream stands: what is shown may be old. */
export type LiveState = 'connecting' | 'live' | 'stale';

const HISTORY = 120;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8_000;

/** Snapshots of the last two minutes, oldest first, by server-sent events; reconnects with growing pauses. */
export function useLive(): { state: LiveState; history: readonly LiveSnapshot[] } {
  const [state, setState] = useState<LiveState>('connecting');
  const [history, setHistory] = useState<readonly LiveSnapshot[]>([]);
  useEffect(() => {
    const stop = new AbortController();
    void follow(stop.signal, setState, (snapshot) => {
      setHistory((old) => [...old.slice(1 - HISTORY), snapshot]);
    });
    return () => {
      stop.abort();
    };
  }, []);
  return { state, history };
}

async function follow(
  signal: AbortSignal,
  setState: (state: LiveState) => void,
  push: (snapshot: LiveSnapshot) => void,
): Promise<void> {
  for (let pauseMs = FIRST_PAUSE_MS; !signal.aborted; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
    try {
      // fetch and not EventSource: the key travels in a header, never in an address.
      const response = await fetch('/admin/v1/live', { headers: headers(), signal });
      if (!response.ok || !response.body) throw new Error(`status ${response.status}`);
      setState('live');
      for await (const data of eventsOf(response.body)) {
        pauseMs = FIRST_PAUSE_MS;
        push(JSON.parse(data) as LiveSnapshot);
      }
    } catch {
      // Told by the state below.
    }
    if (signal.aborted) return;
    setState('stale');
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** The data of each event of a server-sent event stream. */
export async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const data = block
        .split(/\r?\n/)
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(5).trimStart());
      if (data.length > 0) yield data.join('\n');
    }
  }
}
