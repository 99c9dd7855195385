import { inference, RPC_METADATA } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { createClient } from '@thalamus/grpc';

const TIMEOUT_MS = 60_000;
const POLL_MS = 50;

/** A mesh that is to answer. */
export interface AnsweringMesh {
  /** Base URL of the gateway. */
  readonly http: string;
  /** host:port of its gRPC server. */
  readonly grpc: string;
  readonly key: string | undefined;
  /** Experts that a host must have loaded. */
  readonly experts: readonly string[];
  /** Experts that chat must be routed to; none: chat is not waited for. */
  readonly remoteExperts: readonly string[];
}

/** Waits until every expert is ready somewhere and a prompt of each kind can be routed. @throws EXPERT_NOT_READY naming what is missing */
export async function waitUntilAnswering(mesh: AnsweringMesh): Promise<void> {
  const { key, experts } = mesh;
  const client = createClient(inference.GRPCInferenceService, {
    address: mesh.grpc,
    defaultDeadlineMs: 2_000,
  });
  const until = Date.now() + TIMEOUT_MS;
  let missing = 'everything';
  try {
    while (Date.now() < until) {
      const metadata: Record<string, string> =
        key === undefined ? {} : { [RPC_METADATA.authorization]: `Bearer ${key}` };
      const index = await client.repositoryIndex({ ready: true }, { metadata }).catch(() => undefined);
      const ready = new Set(index?.models.map(({ name }) => name));
      const waiting = experts.filter((expert) => !ready.has(expert));
      if (waiting.length === 0) waiting.push(...(await unrouted(mesh)));
      if (waiting.length === 0) return;
      missing = waiting.join(', ');
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  } finally {
    client.close();
  }
  throw new ThalamusError(
    'EXPERT_NOT_READY',
    `The mesh did not become ready within ${TIMEOUT_MS / 1000} s; still missing: ${missing}. The logs of the services say why.`,
  );
}

/** What cannot be routed yet. */
async function unrouted(mesh: AnsweringMesh): Promise<string[]> {
  const texts = await ranked(mesh, 'text-classification');
  const chat = mesh.remoteExperts.length === 0 ? [] : await ranked(mesh, 'text-generation');
  return [...(texts ? [] : ['the router']), ...(chat ? [] : ['the router of chat'])];
}

/** The experts in the order of the router; undefined while it cannot say. */
async function ranked(
  { http, key }: AnsweringMesh,
  task: 'text-classification' | 'text-generation',
): Promise<readonly unknown[] | undefined> {
  const response = await fetch(`${http}/v1/route`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    },
    body: JSON.stringify({ input: 'Is the mesh awake?', task }),
    signal: AbortSignal.timeout(2_000),
  }).catch(() => undefined);
  return response?.status === 200 ? ((await response.json()) as { ranked: unknown[] }).ranked : undefined;
}
