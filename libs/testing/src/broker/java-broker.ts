import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePorts } from './free-ports.js';
import type { BrokerProcess } from './kafka-broker.js';
import { LOG4J_PROPERTIES, serverProperties } from './server-properties.js';

const HEAP = ['-Xms64m', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
const KEPT_OUTPUT_CHARACTERS = 4_000;

/**
 * Runs a command and says its process id; when standard input ends, however that came about, kills it, and removes the
 * folder unless it was told to keep it. So no broker outlives a test run, not even one that was killed.
 */
const GUARD =
  'folder=$1; shift; "$@" & child=$!; echo "pid $child"; read answer; kill -9 $child 2>/dev/null; wait $child 2>/dev/null; [ "$answer" = keep ] || rm -rf "$folder"';

/** Apache Kafka as a Java process: broker and controller in one, data in a temporary folder. */
export class JavaBroker implements BrokerProcess {
  private guard: ChildProcess | undefined;
  private pid: number | undefined;
  private output = '';
  private formatted = false;

  private constructor(
    readonly address: string,
    private readonly folder: string,
    private readonly jars: string,
  ) {}

  static async create(jars: string): Promise<JavaBroker> {
    const folder = await mkdtemp(join(tmpdir(), 'thalamus-kafka-'));
    const [port, controllerPort] = await freePorts(2);
    const data = join(folder, 'data');
    await writeFile(
      join(folder, 'server.properties'),
      serverProperties({ port: port as number, controllerPort: controllerPort as number, data }),
    );
    await writeFile(join(folder, 'log4j.properties'), LOG4J_PROPERTIES);
    return new JavaBroker(`127.0.0.1:${port}`, folder, jars);
  }

  async launch(): Promise<void> {
    if (!this.formatted) await this.format();
    this.output = '';
    const java = ['java', ...HEAP, ...this.classPath(), 'kafka.Kafka', this.path('server.properties')];
    const guard = spawn('sh', ['-c', GUARD, 'guard', this.folder, ...java], {
      // A group of its own: Ctrl-C in the terminal reaches the tests, whose end ends the guard.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.guard = guard;
    for (const stream of [guard.stdout, guard.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.output = (this.output + text).slice(-KEPT_OUTPUT_CHARACTERS);
      });
    this.pid = await new Promise<number>((resolve, reject) => {
      guard.once('error', reject);
      guard.stdout.on('data', (text: string) => {
        const pid = /^pid (\d+)$/m.exec(text)?.[1];
        if (pid !== undefined) resolve(Number(pid));
      });
    });
  }

  ended(): string | undefined {
    return this.pid !== undefined && isAlive(this.pid) ? undefined : this.output;
  }

  kill(): Promise<void> {
    return this.end('SIGKILL', 'keep');
  }

  stop(): Promise<void> {
    return this.end('SIGTERM', 'keep');
  }

  async dispose(): Promise<void> {
    await this.end('SIGKILL', 'remove');
    await rm(this.folder, { recursive: true, force: true });
  }

  private async end(signal: 'SIGKILL' | 'SIGTERM', answer: 'keep' | 'remove'): Promise<void> {
    const { guard, pid } = this;
    this.guard = undefined;
    this.pid = undefined;
    if (!guard || pid === undefined) return;
    if (isAlive(pid)) process.kill(pid, signal);
    const until = performance.now() + 30_000;
    while (isAlive(pid) && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
    const closed = new Promise((resolve) => guard.once('close', resolve));
    guard.stdin?.end(`${answer}\n`);
    await closed;
  }

  private async format(): Promise<void> {
    const id = Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url');
    // With the equals sign, since an id may begin with a hyphen.
    const tool = [
      'kafka.tools.StorageTool',
      'format',
      `--cluster-id=${id}`,
      '-c',
      this.path('server.properties'),
    ];
    await promisify(execFile)('java', [...HEAP, ...this.classPath(), ...tool]);
    this.formatted = true;
  }

  private classPath(): string[] {
    return [`-Dlog4j.configuration=file:${this.path('log4j.properties')}`, '-cp', join(this.jars, '*')];
  }

  private path(name: string): string {
    return join(this.folder, name);
  }
}

/** A zombie that its parent has not collected counts as gone: the guard collects it at the end. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    // No such file system here: the signal was taken, so it lives.
    return true;
  }
}
