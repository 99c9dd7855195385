import type { Composition, CompositionRow, Weighing } from './composition-types.js';
import type {
  Classification,
  Decision,
  ExpertRow,
  HostRow,
  KeyRow,
  NewKey,
  Policy,
  RouterReport,
  RouterRow,
  Session,
  Task,
  TrainingLosses,
} from './types.js';
import { readWeighing, weighQuestion } from './weigh-prompt.js';

const KEY_STORAGE = 'thalamus.key';
const CALL_TIMEOUT_MS = 15_000;

/** A refusal of the gateway, in its own words. */
export class ApiError extends Error {
  constructor(
    /** HTTP status; 0 when there was no answer. */
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = 'ApiError';
  }

  /** Whether the gateway was not there at all. */
  get isUnreachable(): boolean {
    return this.status === 0;
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

/** Headers of every call; without a key the gateway decides whether one may look. */
export function headers(): Record<string, string> {
  const key = keyOfTab.get();
  return key === '' ? {} : { authorization: `Bearer ${key}` };
}

interface CallOptions {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** Sends a request; the answer is one of success. @throws ApiError; AbortError when the caller left */
export async function send(path: string, options: CallOptions = {}): Promise<Response> {
  const { method = 'GET', body, signal } = options;
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: { ...headers(), ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(signal ? { signal } : {}),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (fault) {
    throw faultOf(fault);
  }
  if (response.ok) return response;
  const told = (await response.json().catch(() => undefined)) as { error?: WireError | string } | undefined;
  const { code, message } = typeof told?.error === 'string' ? codeAndText(told.error) : (told?.error ?? {});
  throw new ApiError(
    response.status,
    code ?? 'UNKNOWN',
    message ?? `The gateway answered with ${response.status}.`,
  );
}

interface WireError {
  readonly code?: string | null;
  readonly message?: string;
}

/** A failure of the Open Inference Protocol: its code, a colon and what is wrong. */
function codeAndText(error: string): WireError {
  const [, code, message] = /^([A-Z_]+): (.*)$/s.exec(error) ?? [];
  return code === undefined ? { message: error } : { code, message: message ?? '' };
}

/** What a failed call means to people. */
export function faultOf(fault: unknown): unknown {
  if (!(fault instanceof DOMException)) return unreachable();
  if (fault.name === 'TimeoutError')
    return new ApiError(0, 'DEADLINE_EXCEEDED', 'The gateway took too long to answer. Try again.');
  return fault;
}

function unreachable(): ApiError {
  return new ApiError(0, 'UNREACHABLE', 'The gateway does not answer. Is the mesh running?');
}

/** Sends a request and reads its JSON. @throws ApiError; AbortError when the caller left */
export async function call(path: string, options: CallOptions = {}): Promise<unknown> {
  const timeout = AbortSignal.timeout(CALL_TIMEOUT_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  const response = await send(path, { ...options, signal });
  try {
    return (await response.json()) as unknown;
  } catch (fault) {
    if (fault instanceof SyntaxError)
      throw new ApiError(
        response.status,
        'UPSTREAM_ERROR',
        'The gateway answered with something unreadable.',
      );
    throw faultOf(fault);
  }
}

interface WireExpert {
  expert: string;
  predictedLoss: number;
  lossLow?: number;
  lossHigh?: number;
  correction?: number;
  costs: { name: string; value: number; weight: number }[];
  total: number;
}

function readDecision(wire: unknown): Decision {
  const decision = wire as Omit<Decision, 'ranked'> & { ranked: WireExpert[] };
  return {
    ...decision,
    ranked: decision.ranked.map((item) => ({
      ...item,
      correction: item.correction ?? 0,
      interval: [item.lossLow ?? item.predictedLoss, item.lossHigh ?? item.predictedLoss] as const,
    })),
  };
}

const segment = encodeURIComponent;

/** Calls of the gateway that the pages make. */
export const api = {
  session: async () => (await call('/admin/v1/session')) as Session,
  experts: async () => ((await call('/admin/v1/experts')) as { data: readonly ExpertRow[] }).data,
  hosts: async () => ((await call('/admin/v1/hosts')) as { data: readonly HostRow[] }).data,
  routers: async () => ((await call('/admin/v1/routers')) as { data: readonly RouterRow[] }).data,
  evaluation: async (name: string, version: string) =>
    (
      (await call(`/admin/v1/routers/${segment(name)}/versions/${segment(version)}/evaluation`)) as {
        evaluation: RouterReport | null;
      }
    ).evaluation,
  compositions: async () =>
    ((await call('/admin/v1/compositions')) as { data: readonly CompositionRow[] }).data,
  composition: async (name: string, version: string) =>
    (await call(`/admin/v1/compositions/${segment(name)}/versions/${segment(version)}`)) as Composition,
  weigh: async ({
    name,
    version,
    text,
  }: {
    name: string;
    version: string;
    text: string;
  }): Promise<Weighing> =>
    readWeighing(
      await call(`/v2/models/${segment(name)}/versions/${segment(version)}/infer`, {
        method: 'POST',
        body: weighQuestion(text),
      }),
    ),
  route: async (input: string, task: Task, signal: AbortSignal): Promise<Decision> =>
    readDecision(await call('/v1/route', { method: 'POST', body: { input, task, top_k: 256 }, signal })),
  classify: async (input: string, model: string): Promise<Classification> => {
    const answer = (await call('/v1/classifications', { method: 'POST', body: { input, model } })) as {
      data: (Classification & { timings_ms?: Record<string, number> })[];
    };
    const [first] = answer.data;
    if (!first) throw new ApiError(502, 'UPSTREAM_ERROR', 'The gateway answered without a result.');
    return { ...first, timingsMs: first.timings_ms ?? {} };
  },
  training: async (expert: string, version: string) =>
    (await call(
      `/admin/v1/experts/${segment(expert)}/versions/${segment(version)}/training`,
    )) as TrainingLosses,
  promote: (change: { expert: string; version: string; reason: string; expectedRevision: number }) =>
    call(`/admin/v1/experts/${segment(change.expert)}/channels`, {
      method: 'POST',
      body: {
        channel: 'stable',
        version: change.version,
        reason: change.reason,
        expectedRevision: change.expectedRevision,
      },
    }),
  keys: async () => ((await call('/admin/v1/keys')) as { data: readonly KeyRow[] }).data,
  createKey: async (wish: NewKey) =>
    (await call('/admin/v1/keys', { method: 'POST', body: wish })) as KeyRow & { readonly secret: string },
  revokeKey: (id: string) => call(`/admin/v1/keys/${segment(id)}`, { method: 'DELETE' }),
  policies: async () => ((await call('/admin/v1/policies')) as { data: readonly Policy[] }).data,
};
