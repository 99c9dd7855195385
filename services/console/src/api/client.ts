import type { Classification, Decision, ExpertRow, Session } from './types.js';

const KEY_STORAGE = 'thalamus.key';

/** A refusal of the gateway, in its own words. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/** The key that this tab is signed in with; it never leaves the tab. */
export const keyOfTab = {
  get: () => sessionStorage.getItem(KEY_STORAGE) ?? '',
  set: (key: string) => {
    if (key === '') sessionStorage.removeItem(KEY_STORAGE);
    else sessionStorage.setItem(KEY_STORAGE, key);
  },
};

/** Headers of every call. */
export function headers(): Record<string, string> {
  const key = keyOfTab.get();
  return { 'content-type': 'application/json', ...(key === '' ? {} : { authorization: `Bearer ${key}` }) };
}

async function call(path: string, options: { body?: unknown; signal?: AbortSignal } = {}): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(path, {
      method: options.body === undefined ? 'GET' : 'POST',
      headers: headers(),
      signal: options.signal ?? AbortSignal.timeout(15_000),
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    });
  } catch (fault) {
    if (fault instanceof DOMException && fault.name === 'AbortError') throw fault;
    throw new ApiError(0, 'UNREACHABLE', 'The gateway does not answer. Is the mesh running?');
  }
  const body: unknown = await response.json().catch(() => undefined);
  if (response.ok) return body;
  const error = (body as { error?: { code?: string; message?: string } } | undefined)?.error;
  throw new ApiError(
    response.status,
    error?.code ?? 'UNKNOWN',
    error?.message ?? `The gateway answered with ${response.status}.`,
  );
}

interface WireExpert {
  expert: string;
  predictedLoss: number;
  lossLow?: number;
  lossHigh?: number;
  interval?: [number, number];
  costs: { name: string; value: number; weight: number }[];
  total: number;
}

function readDecision(wire: unknown): Decision {
  const decision = wire as Omit<Decision, 'ranked'> & { ranked: WireExpert[] };
  return {
    ...decision,
    ranked: decision.ranked.map((item) => ({
      ...item,
      interval: item.interval ?? [item.lossLow ?? item.predictedLoss, item.lossHigh ?? item.predictedLoss],
    })),
  };
}

/** Calls of the gateway that the pages make. */
export const api = {
  session: async (): Promise<Session> => (await call('/admin/v1/session')) as Session,
  experts: async (): Promise<readonly ExpertRow[]> =>
    ((await call('/admin/v1/experts')) as { data: ExpertRow[] }).data,
  route: async (input: string, task: string, signal: AbortSignal): Promise<Decision> =>
    readDecision(await call('/v1/route', { body: { input, task, top_k: 256 }, signal })),
  classify: async (input: string, model: string): Promise<Classification> => {
    const answer = (await call('/v1/classifications', { body: { input, model } })) as {
      data: (Classification & { timings_ms?: Record<string, number> })[];
    };
    const [first] = answer.data;
    if (!first) throw new ApiError(502, 'UPSTREAM_ERROR', 'The gateway answered without a result.');
    return { ...first, timingsMs: first.timings_ms ?? first.timingsMs ?? {} };
  },
};
