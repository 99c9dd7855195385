import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { chromiumBinary } from '../support/chromium.js';
import { launchMesh, type MeshFile } from '../support/mesh.js';

/** The mesh that the pages talk to, and the browser that shows them. */
export interface MeshUnderBrowser {
  readonly http: string;
  readonly dataFolder: string;
  /** The administrator's key. */
  readonly key: string;
  readonly gatewayPid: number;
  /** Base URL of the HTTP server of the expert host. */
  readonly hostHttp: string;
  /** Base URL of the upstream that replays recorded answers: one that the gateway may ask. */
  readonly upstream: string;
  readonly chromium: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    meshUnderBrowser: MeshUnderBrowser;
  }
}

/** Starts one mesh, with zoo and fleet, for all files of the run. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const chromium = chromiumBinary();
  // The mesh of `npm start`, on the embedded log: what bus it has does not show in a page.
  const mesh = await launchMesh();
  project.provide('meshUnderBrowser', {
    http: mesh.http,
    dataFolder: mesh.dataFolder,
    key: mesh.key,
    gatewayPid: mesh.pidOf('gateway'),
    hostHttp: `http://${mesh.httpOf('expert-host')}`,
    upstream: replayUrl(mesh.dataFolder),
    chromium,
  });
  return () => mesh.stop();
}

function replayUrl(dataFolder: string): string {
  const file = JSON.parse(readFileSync(join(dataFolder, 'mesh.json'), 'utf8')) as MeshFile;
  const replay = file.processes.find(({ service }) => service === 'replay');
  if (!replay) throw new Error('The mesh has no replay upstream.');
  return `http://${replay.ops}/v1`;
}
