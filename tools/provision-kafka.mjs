// Finds or gets a Kafka broker for the tests, in this order: KAFKA_BROKERS; a container, when a Docker engine answers; Java
// 17 or newer with the broker's jars, resolved by Maven from e2e/support/kafka/pom.xml into .cache/kafka.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const IMAGE = 'apache/kafka:3.9.1';
const INSTALLERS = [
  {
    tool: 'apt-get',
    refresh: ['update', '-q'],
    install: ['install', '-y', '-q', '--no-install-recommends', 'default-jre-headless', 'maven'],
  },
  { tool: 'apk', refresh: ['update'], install: ['add', 'openjdk17-jre-headless', 'maven'] },
  { tool: 'dnf', refresh: undefined, install: ['install', '-y', 'java-17-openjdk-headless', 'maven'] },
];

/** How a broker is to be started: `{ kind: 'external' | 'docker' | 'java', summary, ... }`. Throws with the cure. */
export function provisionKafka(root) {
  const brokers = process.env.KAFKA_BROKERS?.trim();
  if (brokers) {
    const list = brokers.split(',').map((broker) => broker.trim());
    return { kind: 'external', brokers: list, summary: `the brokers of KAFKA_BROKERS, ${list.join(', ')}` };
  }
  const refused = [];
  const container = dockerImage(refused);
  if (container) return container;
  return javaJars(root, refused);
}

function dockerImage(refused) {
  const engine = run('docker', ['info', '--format', '{{.ServerVersion}}'], { timeoutMs: 10_000 });
  if (!engine.ok) {
    refused.push('no Docker engine answers');
    return undefined;
  }
  const there = run('docker', ['image', 'inspect', IMAGE]);
  if (!there.ok && !run('docker', ['pull', IMAGE], { timeoutMs: 600_000, loud: true }).ok) {
    refused.push(`the Docker engine cannot pull ${IMAGE}`);
    return undefined;
  }
  return { kind: 'docker', image: IMAGE, summary: `a container of ${IMAGE}` };
}

function javaJars(root, refused) {
  const pom = join(root, 'e2e/support/kafka/pom.xml');
  const digest = createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 12);
  const cache = join(root, '.cache/kafka');
  const jars = join(cache, `jars-${digest}`);
  const cached = existsSync(jars);
  if (!javaVersion() || (!cached && !run('mvn', ['-v']).ok)) install(refused);
  const version = javaVersion();
  if (!version) throw cure([...refused, 'no Java 17 or newer is installed']);
  if (!cached) {
    if (!run('mvn', ['-v']).ok) throw cure([...refused, 'Maven is not installed']);
    mkdirSync(cache, { recursive: true });
    const folder = mkdtempSync(join(cache, 'part-'));
    console.error('getting the jars of the Kafka broker, once (46 MB)');
    const args = ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${folder}`];
    if (!run('mvn', args, { timeoutMs: 900_000, loud: true }).ok) {
      rmSync(folder, { recursive: true, force: true });
      throw cure([...refused, `Maven cannot resolve ${pom}`]);
    }
    // Complete or absent: another run that looks meanwhile never sees half of them.
    if (existsSync(jars)) rmSync(folder, { recursive: true, force: true });
    else renameSync(folder, jars);
  }
  return { kind: 'java', jars, summary: `Java ${version} with the jars in ${jars}` };
}

function install(refused) {
  const installer = INSTALLERS.find(({ tool }) => run(tool, ['--version']).ok);
  if (!installer) {
    refused.push('no known package manager is there');
    return;
  }
  const command = `${installer.tool} ${installer.install.join(' ')}`;
  if (process.getuid?.() !== 0) throw cure([...refused, 'Java or Maven is missing'], `sudo ${command}`);
  console.error(`installing Java and Maven: ${command}`);
  const environment = { DEBIAN_FRONTEND: 'noninteractive' };
  if (installer.refresh)
    run(installer.tool, installer.refresh, { timeoutMs: 300_000, loud: true, environment });
  if (!run(installer.tool, installer.install, { timeoutMs: 900_000, loud: true, environment }).ok)
    throw cure([...refused, `"${command}" failed`], command);
}

function javaVersion() {
  const { ok, output } = run('java', ['-version']);
  const major = /version "(\d+)/.exec(output)?.[1];
  return ok && major !== undefined && Number(major) >= 17 ? major : undefined;
}

function cure(reasons, command = 'apt-get install -y default-jre-headless maven') {
  return new Error(
    `the event bus is tested on a real Kafka broker, and none can be had (${reasons.join('; ')}). ` +
      `Run "${command}" (or start a broker and set KAFKA_BROKERS), then try again`,
  );
}

function run(command, args, { timeoutMs = 30_000, loud = false, environment = {} } = {}) {
  const result = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: timeoutMs,
    env: { ...process.env, ...environment },
    // What is shown goes to stderr: stdout may be read by a program.
    stdio: loud ? ['ignore', 2, 2] : ['ignore', 'pipe', 'pipe'],
  });
  return { ok: result.status === 0, output: `${result.stdout ?? ''}${result.stderr ?? ''}` };
}
