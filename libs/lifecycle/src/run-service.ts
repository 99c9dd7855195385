import 'reflect-metadata';
import type { DynamicModule, INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  describeSettings,
  loadSettings,
  type SettingsDefinition,
  type SettingsShape,
  type ValuesOf,
} from '@thalamus/config';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { createLogger, getSdk, setLogLevel, type Logger, type LogLevel } from '@thalamus/telemetry';
import { collectGarbageSoon, collectGarbageWhenIdle } from './collect-garbage.js';
import { ComponentHost } from './component-host.js';
import { OpsServer } from './ops-server.js';
import { registerProcessMetrics } from './process-metrics.js';
import { COMPONENTS, type ServiceComponent } from './service-component.js';

/** Settings that every service has. */
export interface CommonSettings {
  readonly host: string;
  readonly opsPort: number;
  readonly drainMs: number;
  readonly readinessGraceMs: number;
  readonly logLevel: LogLevel;
}

/** How a service is run. */
export interface ServiceDefinition<S extends SettingsShape> {
  readonly name: string;
  /** One sentence for `--help`. */
  readonly summary: string;
  readonly settings: SettingsDefinition<S>;
  /** The root module; it provides COMPONENTS, an array of ServiceComponent. */
  readonly module: (settings: ValuesOf<S>) => DynamicModule;
  /** Makes the Nest application; default: an application context without HTTP. */
  readonly createApplication?: (
    module: DynamicModule,
    settings: ValuesOf<S>,
  ) => Promise<INestApplicationContext>;
}

/** Exit code of a service that refused its settings, could not start, or met a fault that nobody caught. */
export const EXIT_START_FAILED = 1;
/** Exit code of a service that a second signal ended. */
export const EXIT_FORCED = 130;

/** How long the last spans and metrics may take to be sent, milliseconds. */
const FLUSH_MS = 2_000;

/**
 * Runs a service until a signal: `--help`, settings, Nest, components in order, ops server; on SIGTERM or SIGINT
 * readiness is withdrawn first, work in flight ends, then the process exits with 0. A second signal exits at once.
 */
export async function runService<S extends SettingsShape>(definition: ServiceDefinition<S>): Promise<void> {
  if (process.argv.includes('--help')) {
    process.stdout.write(helpText(definition));
    return;
  }
  const logger = createLogger(definition.name);
  try {
    refuseArguments();
    // eslint-disable-next-line no-restricted-syntax -- the one place where a service's environment is read
    const settings = loadSettings(definition.settings, process.env);
    await startService(definition, settings, logger);
  } catch (fault) {
    reportStartFailure(definition.name, fault, logger);
  }
}

async function startService<S extends SettingsShape>(
  definition: ServiceDefinition<S>,
  settings: ValuesOf<S>,
  logger: Logger,
): Promise<void> {
  const common = settings as unknown as CommonSettings;
  setLogLevel(common.logLevel);
  const stopMetrics = registerProcessMetrics();
  const module = definition.module(settings);
  const create =
    definition.createApplication ??
    ((root) => NestFactory.createApplicationContext(root, { logger: false, abortOnError: false }));
  const application = await create(module, settings);
  const components = new ComponentHost(application.get<readonly ServiceComponent[]>(COMPONENTS), logger);
  const ops = new OpsServer({ host: common.host, port: common.opsPort }, () => components.readiness());
  let stopping = false;
  const stop = async (reason: string) => {
    logger.info({ reason }, 'draining');
    await components.stop(common.drainMs, common.readinessGraceMs);
    await application.close();
    await ops.close();
    stopMetrics();
    await flushTelemetry();
    logger.info({}, 'stopped');
    process.exit(0);
  };
  const onSignal = (reason: string) => {
    if (stopping) process.exit(EXIT_FORCED);
    stopping = true;
    void stop(reason);
  };
  // Node would print the fault with its text, which may quote input; our log does not.
  process.on('uncaughtException', (error) => {
    logger.error({ error }, 'a fault that nobody caught ends the process');
    process.exit(EXIT_START_FAILED);
  });
  process.on('SIGTERM', () => {
    onSignal('SIGTERM');
  });
  process.on('SIGINT', () => {
    onSignal('SIGINT');
  });
  if (process.send) {
    process.on('disconnect', () => {
      if (!stopping) onSignal('launcher went away');
    });
  }
  await ops.start();
  await components.start();
  logger.info({ opsPort: ops.port }, 'ready');
  process.send?.({ kind: 'ready', opsPort: ops.port });
  collectGarbageSoon();
  collectGarbageWhenIdle();
}

async function flushTelemetry(): Promise<void> {
  const timer = new Promise<void>((resolve) => setTimeout(resolve, FLUSH_MS).unref());
  await Promise.race([
    getSdk()
      ?.shutdown()
      .catch(() => undefined),
    timer,
  ]);
}

function refuseArguments(): void {
  const extra = process.argv.slice(2);
  if (extra.length > 0)
    throw new ThalamusError(
      'CONFIG_INVALID',
      `Unknown argument ${extra.join(' ')}: services take settings from the environment; --help lists them.`,
    );
}

function reportStartFailure(name: string, fault: unknown, logger: Logger): void {
  const error = toThalamusError(fault);
  // Nothing of a caller is in the process yet: the text of an unforeseen fault may be shown.
  const message =
    error.code === 'INTERNAL' && error.cause instanceof Error ? error.cause.message : error.message;
  logger.error({ code: error.code, error: error.cause }, 'start failed');
  process.stderr.write(`${name}: ${message}\n`);
  const exit = () => process.exit(EXIT_START_FAILED);
  if (process.send) process.send({ kind: 'failed', code: error.code, message }, undefined, undefined, exit);
  else exit();
}

function helpText(definition: {
  readonly name: string;
  readonly summary: string;
  readonly settings: Pick<SettingsDefinition, 'shape'>;
}): string {
  const rows = describeSettings(definition.settings);
  const width = Math.max(...rows.map((row) => row.variable.length));
  const lines = rows.map((row) => {
    const value = row.defaultText === undefined ? 'required' : `default: ${row.defaultText}`;
    return `  ${row.variable.padEnd(width)}  ${row.description} [${value}]`;
  });
  return `thalamus ${definition.name}: ${definition.summary}\n\nSettings (environment variables):\n${lines.join('\n')}\n`;
}
