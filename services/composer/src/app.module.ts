import type { DynamicModule } from '@nestjs/common';
import { composerV1, registryV1 } from '@thalamus/contracts';
import { createClient, GrpcServer, implementService } from '@thalamus/grpc';
import { COMPONENTS, type ServiceComponent } from '@thalamus/lifecycle';
import { artifactStoreFor, eventBusFor, RegistryView } from '@thalamus/registry';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ComposerGrpcService } from './adapters/grpc/composer.service.js';
import { ProcessCompositionMaker } from './adapters/process/process-composition-maker.js';
import { ComposeExperts } from './application/compose-experts.js';
import { FetchParts } from './application/fetch-parts.js';
import { PlanComposition } from './application/plan-composition.js';
import { RegisterComposition } from './application/register-composition.js';
import type { ComposerSettings } from './config.js';

/** Wiring of the composer. */
export class AppModule {
  static register(settings: ComposerSettings): DynamicModule {
    return {
      module: AppModule,
      providers: [{ provide: COMPONENTS, useFactory: () => components(settings) }],
    };
  }
}

function components(settings: ComposerSettings): ServiceComponent[] {
  const bus = eventBusFor(settings, 'thalamus-composer');
  const view = new RegistryView(bus);
  const store = artifactStoreFor(settings);
  const registry = createClient(registryV1.RegistryService, {
    address: settings.updaterAddress,
    defaultDeadlineMs: 15_000,
  });
  const maker = new ProcessCompositionMaker(settings);
  const plans = new PlanComposition(view, store);
  const registrar = new RegisterComposition(view, store, registry, Date.now);
  const compose = new ComposeExperts(
    { view, plans, maker, registrar, fetch: new FetchParts(store, join(settings.dataFolder, 'bundles')) },
    {
      threads: settings.threads,
      maxQueue: settings.maxQueue,
      workFolder: join(settings.dataFolder, 'work'),
      codeVersion: codeVersion(),
      now: Date.now,
    },
  );
  const server = new GrpcServer({
    host: settings.host,
    port: settings.grpcPort,
    services: [
      implementService(composerV1.ComposerService, new ComposerGrpcService({ view, plans, compose })),
    ],
  });
  return [
    {
      name: 'event bus',
      start: () => bus.start(),
      readiness: () => readiness(bus.health()),
      close: () => bus.close(),
    },
    view,
    {
      name: 'registry client',
      close: () => {
        registry.close();
        return Promise.resolve();
      },
    },
    { name: 'composing process', start: () => compose.start(), close: () => maker.close() },
    { name: 'gRPC server', start: () => server.start(), drain: (deadlineMs) => server.drain(deadlineMs) },
  ];
}

function codeVersion(): string {
  const file = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return `thalamus ${file.version}`;
}

function readiness(health: { readonly ok: boolean; readonly reason?: string }): {
  ready: boolean;
  reason?: string;
} {
  return { ready: health.ok, ...(health.reason === undefined ? {} : { reason: health.reason }) };
}
