import { runningMesh, unreachable, type MeshOptions } from '../gateway-client.js';

const TIMEOUT_MS = 5_000;

/** Prompts that the replay upstream of the local mesh has answers to, the shortest first. @throws UPSTREAM_UNAVAILABLE */
export async function recordedPrompts(options: Pick<MeshOptions, 'data'>): Promise<string[]> {
  const address = runningMesh(options).processes.find(({ service }) => service === 'replay')?.ops;
  if (address === undefined)
    throw unreachable(`The mesh on ${options.data} runs no fleet; start it without --no-fleet.`);
  const response = await fetch(`http://${address}/v1/samples`, {
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch((cause: unknown) => {
    throw unreachable(
      `The replay upstream at ${address} does not answer; "thalamus doctor" tells more.`,
      cause,
    );
  });
  return ((await response.json()) as { data: string[] }).data;
}
