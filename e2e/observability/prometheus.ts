import { freePorts, waitUntil } from '@thalamus/testing';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { NODE, ROOT, temporaryFolder } from '../support/paths.js';
import { startCommand } from '../support/run-command.js';

/** One series of an answer. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

/** An alert rule as the server has read it. */
export interface AlertRule {
  readonly name: string;
  readonly query: string;
  readonly health: string;
  readonly lastError?: string;
}

/** A real Prometheus that scrapes a mesh every second. */
export interface PrometheusServer {
  /** Answers of an instant query now. @throws Error with what the server says about the query */
  query(expression: string): Promise<readonly Series[]>;
  alertRules(): Promise<readonly AlertRule[]>;
  stop(): Promise<void>;
}

/** What is scraped: the job is the service, as the chart's ServiceMonitor has it. */
export interface Target {
  readonly job: string;
  readonly address: string;
}

/** Starts a Prometheus on a free port with data of its own. @throws Error that names the command that installs one */
export async function startPrometheus(targets: readonly Target[], rules: string): Promise<PrometheusServer> {
  const binary = execFileSync(
    NODE,
    [
      '--input-type=module',
      '--eval',
      "process.stdout.write((await import('./tools/provision-prometheus.mjs')).prometheusBinary())",
    ],
    { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const folder = temporaryFolder('prometheus');
  mkdirSync(join(folder, 'data'));
  writeFileSync(
    join(folder, 'prometheus.yml'),
    stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [rules],
      scrape_configs: targets.map(({ job, address }) => ({
        job_name: job,
        static_configs: [{ targets: [address] }],
      })),
    }),
  );
  const [port = 0] = await freePorts(1);
  const base = `http://127.0.0.1:${port}`;
  const server = startCommand(
    binary,
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    { workingFolder: folder, timeoutMs: 900_000 },
  );
  const ready = waitUntil('Prometheus is ready', async () => (await fetch(`${base}/-/ready`)).ok);
  const ended = server.ended.then(({ exit, stderr }) => {
    throw new Error(`Prometheus ended with ${exit}: ${stderr}`);
  });
  ready.catch(() => undefined);
  ended.catch(() => undefined);
  await Promise.race([ready, ended]);
  return {
    query: async (expression) => {
      const body = new URLSearchParams({ query: expression });
      const { result } = await ask<{ result: VectorRow[] }>(`${base}/api/v1/query`, { method: 'POST', body });
      return result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
    },
    alertRules: async () => {
      const { groups } = await ask<{ groups: { rules: AlertRule[] }[] }>(`${base}/api/v1/rules?type=alert`);
      return groups.flatMap((group) => group.rules);
    },
    stop: async () => {
      server.child.kill('SIGTERM');
      await server.ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

interface VectorRow {
  readonly metric: Record<string, string>;
  readonly value: [number, string];
}

async function ask<T>(url: string, init?: RequestInit): Promise<T> {
  const response = await fetch(url, init);
  const answer = (await response.json()) as { status: string; error?: string; data: T };
  if (answer.status !== 'success') throw new Error(answer.error ?? `Prometheus answered ${response.status}.`);
  return answer.data;
}
