import { inference, RPC_METADATA } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { createClient } from '@thalamus/grpc';

const TIMEOUT_MS = 60_000;
const POLL_MS = 50;

/** Waits until every expert is ready somewhere and a prompt can be routed. @throws EXPERT_NOT_READY naming what is missing */
export async function waitUntilAnswering(
  http: string,
  grpc: string,
  experts: readonly string[],
  apiKey?: string,
): Promise<void> {
  const client = createClient(inference.GRPCInferenceService, { address: grpc, defaultDeadlineMs: 2_000 });
  const until = Date.now() + TIMEOUT_MS;
  let missing = 'everything';
  try {
    while (Date.now() < until) {
      const metadata: Record<string, string> =
        apiKey === undefined ? {} : { [RPC_METADATA.authorization]: `Bearer ${apiKey}` };
      const index = await client.repositoryIndex({ ready: true }, { metadata }).catch(() => undefined);
      const ready = new Set(index?.models.map(({ name }) => name));
      const waiting = experts.filter((expert) => !ready.has(expert));
      if (waiting.length === 0 && (await routes(http, apiKey))) return;
      missing = waiting.join(', ') || 'the router';
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

async function routes(http: string, apiKey: string | undefined): Promise<boolean> {
  const response = await fetch(`${http}/v1/route`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
    },
    body: JSON.stringify({ input: 'Is the mesh awake?' }),
    signal: AbortSignal.timeout(2_000),
  }).catch(() => undefined);
  return response?.status === 200;
}
