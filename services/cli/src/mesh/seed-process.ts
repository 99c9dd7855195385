import { ThalamusError, isErrorCode } from '@thalamus/errors';
import { fork, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Steps of the seeding, in their order. */
export type ToSeed =
  | { readonly kind: 'store'; readonly artifactsFolder: string; readonly fleet: boolean }
  | {
      readonly kind: 'register';
      readonly updaterAddress: string;
      readonly artifactsFolder: string;
      /** Base URL of the fleet's upstream; undefined without a fleet. */
      readonly replayUrl: string | undefined;
    }
  | {
      readonly kind: 'wait';
      readonly http: string;
      readonly grpc: string;
      readonly key: string | undefined;
    };

/** Names of the experts that a start puts in. */
export interface SeededExperts {
  /** Hosted by the mesh. */
  readonly experts: readonly string[];
  /** Remote ones. */
  readonly remoteExperts: readonly string[];
}

/** What comes back for each step. */
export type FromSeed =
  | ({ readonly kind: 'done' } & SeededExperts)
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

/** The process that puts the zoo into a mesh that is starting. One step at a time. */
export class SeedProcess {
  private readonly child: ChildProcess;
  private readonly logFile: string;

  constructor(logFolder: string) {
    mkdirSync(logFolder, { recursive: true });
    this.logFile = join(logFolder, 'seed.log');
    const log = openSync(this.logFile, 'a');
    this.child = fork(fileURLToPath(new URL('seed-main.js', import.meta.url)), [], {
      execArgv: [],
      stdio: ['ignore', log, log, 'ipc'],
      // Ctrl-C reaches only the launcher.
      detached: true,
    });
    closeSync(log);
    // A channel that has closed already is reported by the step that uses it.
    this.child.on('error', () => undefined);
  }

  /** Does one step; answers with the names of the experts known by then. @throws what the step throws */
  step(message: ToSeed): Promise<SeededExperts> {
    return new Promise((resolve, reject) => {
      const onExit = () => {
        const text = `The process that puts in the zoo ended before it was done; see ${this.logFile}.`;
        reject(new ThalamusError('INTERNAL', text));
      };
      this.child.once('exit', onExit);
      this.child.once('message', (answer: FromSeed) => {
        this.child.off('exit', onExit);
        if (answer.kind === 'done') resolve(answer);
        else reject(new ThalamusError(isErrorCode(answer.code) ? answer.code : 'INTERNAL', answer.message));
      });
      this.child.send(message, (fault) => {
        if (fault) onExit();
      });
    });
  }

  /** Ends it. */
  stop(): void {
    this.child.kill('SIGKILL');
  }
}
