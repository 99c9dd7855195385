import { useCallback, useEffect, useRef, useState } from 'react';
import { streamChat, type ChatEvent, type Usage } from '../../api/chat.js';
import { ApiError } from '../../api/client.js';

/** Where an answer stands. */
export type ChatPhase = 'waiting' | 'streaming' | 'done' | 'stopped' | 'failed';

/** An answer as far as it has come. */
export interface ChatAnswer {
  readonly phase: ChatPhase;
  readonly expert: string;
  readonly version: string;
  readonly decision: string;
  readonly requestId: string;
  readonly text: string;
  readonly usage: Usage | undefined;
  /** 0 for models without a price. */
  readonly costUsd: number | undefined;
  /** Milliseconds from the question. */
  readonly firstTokenMs: number | undefined;
  readonly totalMs: number | undefined;
  readonly fault: ApiError | undefined;
}

const WAITING: ChatAnswer = {
  phase: 'waiting',
  expert: '',
  version: '',
  decision: '',
  requestId: '',
  text: '',
  usage: undefined,
  costUsd: undefined,
  firstTokenMs: undefined,
  totalMs: undefined,
  fault: undefined,
};

/** What an answer is after one more event. */
export function withEvent(answer: ChatAnswer, event: ChatEvent, elapsedMs: number): ChatAnswer {
  switch (event.kind) {
    case 'started':
      return {
        ...answer,
        phase: 'streaming',
        expert: event.expert,
        version: event.version,
        decision: event.decision,
        requestId: event.requestId,
      };
    case 'text':
      return {
        ...answer,
        text: answer.text + event.text,
        firstTokenMs: answer.firstTokenMs ?? elapsedMs,
      };
    case 'usage':
      return { ...answer, usage: event.usage };
    case 'cost':
      return { ...answer, costUsd: event.costUsd };
  }
}

/** One chat request at a time: ask, stop, forget. Leaving the page stops it. */
export function useChat() {
  const [answer, setAnswer] = useState<ChatAnswer>();
  const running = useRef<AbortController>(undefined);
  const stop = useCallback(() => {
    running.current?.abort();
  }, []);
  const reset = useCallback(() => {
    running.current?.abort();
    running.current = undefined;
    setAnswer(undefined);
  }, []);
  const ask = useCallback(async (prompt: string, model: string) => {
    running.current?.abort();
    const own = new AbortController();
    running.current = own;
    const startedAt = performance.now();
    const elapsedMs = () => performance.now() - startedAt;
    let current = WAITING;
    const show = (next: ChatAnswer) => {
      current = next;
      // One that was forgotten or asked again must not come back.
      if (running.current === own) setAnswer(next);
    };
    show(WAITING);
    try {
      for await (const event of streamChat({ prompt, model }, own.signal))
        show(withEvent(current, event, elapsedMs()));
      show({ ...current, phase: 'done', totalMs: elapsedMs() });
    } catch (fault) {
      if (own.signal.aborted) show({ ...current, phase: 'stopped', totalMs: elapsedMs() });
      else show({ ...current, phase: 'failed', totalMs: elapsedMs(), fault: asApiError(fault) });
    }
  }, []);
  useEffect(() => stop, [stop]);
  return { answer, ask, stop, reset };
}

function asApiError(fault: unknown): ApiError {
  if (fault instanceof ApiError) return fault;
  return new ApiError(0, 'UNKNOWN', fault instanceof Error ? fault.message : String(fault));
}
