import { releaseV1 } from '@thalamus/contracts';
import { createClient } from '@thalamus/grpc';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeVersion, swapped } from '../release/make-version.js';
import type { LaunchedMesh, MeshFile } from '../support/mesh.js';
import { temporaryFolder } from '../support/paths.js';
import { post } from './post.js';

const { ReleaseState } = releaseV1;
/** An expert that the traffic is routed to, and a version of it that takes two labels for one another. */
const EXPERT = 'snips7';
const BAD_VERSION = '901';
/** A remote expert whose next version names a model that its upstream does not know. */
export const REMOTE = 'remote';
const LOOK_MS = 250;

/** A release that is begun again whenever it was taken back. */
export interface ReleaseLoop {
  readonly expert: string;
  /** Runs until it is told to stop. @throws Error when a candidate was not taken back */
  run(isStopped: () => boolean): Promise<void>;
}

/** Two bad updates: one that mirrored requests show, and one that fails the callers who get it. */
export async function makeBadReleases(mesh: LaunchedMesh): Promise<readonly ReleaseLoop[]> {
  const folder = join(temporaryFolder('bad-version'), BAD_VERSION);
  await makeVersion(EXPERT, BAD_VERSION, swapped(0, 1), folder);
  await mesh.json(['experts', 'add', folder]);
  const baseUrl = upstreamOf(mesh);
  const prices = { inputUsdPerMtok: 1, outputUsdPerMtok: 1 };
  const remote = { name: REMOTE, description: 'Chats.', baseUrl, prices };
  for (const [version, model] of [
    ['1', await knownModelOf(baseUrl)],
    ['2', 'no-such-model'],
  ] as const)
    await post(mesh, '/admin/v1/experts', { ...remote, version, model }, 201);
  return [
    loop(mesh, { expert: EXPERT, toVersion: BAD_VERSION, mirrorShare: 1 }),
    loop(mesh, { expert: REMOTE, toVersion: '2', mirrorShare: 0, overrideReason: 'chat is not mirrored' }),
  ];
}

/** The base URL of the upstream that stands for remote models. */
function upstreamOf({ dataFolder }: LaunchedMesh): string {
  const { processes } = JSON.parse(readFileSync(join(dataFolder, 'mesh.json'), 'utf8')) as MeshFile;
  const replay = processes.find(({ service }) => service === 'replay');
  if (!replay) throw new Error('The mesh has no replay upstream.');
  return `http://${replay.ops}/v1`;
}

async function knownModelOf(baseUrl: string): Promise<string> {
  const { data } = (await (await fetch(`${baseUrl}/models`)).json()) as { data: { id: string }[] };
  return data[0]!.id;
}

function loop(
  mesh: LaunchedMesh,
  given: Omit<Partial<releaseV1.StartRequest>, '$typeName'> & { readonly expert: string },
): ReleaseLoop {
  const run = async (isStopped: () => boolean) => {
    const releases = createClient(releaseV1.ReleaseService, {
      address: mesh.addressOf('updater'),
      defaultDeadlineMs: 30_000,
    });
    const isOver = async (releaseId: string) => {
      const { release } = await releases.getRelease({ id: releaseId });
      if (release?.state === ReleaseState.STABLE) throw new Error(`${releaseId} was promoted.`);
      return release?.state === ReleaseState.ROLLED_BACK;
    };
    try {
      while (!isStopped()) {
        const plan = { steps: [1], minimumSamples: 100_000, stepSeconds: 1, latencyTolerance: 20 };
        const { release } = await releases.start({ ...plan, ...given });
        while (!isStopped() && !(await isOver(release!.id))) await pause(LOOK_MS);
      }
    } finally {
      releases.close();
    }
  };
  return { expert: given.expert, run };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
