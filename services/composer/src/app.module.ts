import type { DynamicModule } from '@nestjs/common';
import { ProcessCompositionMaker } from '@thalamus/composition';
import { composerV1 } from '@thalamus/contracts';
import { GrpcServer, implementService } from '@thalamus/grpc';
import { COMPONENTS, type ServiceComponent } from '@thalamus/lifecycle';
import { artifactStoreFor } from '@thalamus/registry';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ComposerGrpcService } from './adapters/grpc/composer.service.js';
import { RegistryClient } from './adapters/grpc/registry-client.js';
import { BundleCache } from './application/bundle-cache.js';
import { ComposeExperts } from './application/compose-experts.js';
import { FetchParts } from './application/fetch-parts.js';
import { PlanComposition } from './application/plan-composition.js';
import { ProbeComposition } from './application/probe-composition.js';
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
  const store = artifactStoreFor(settings);
  const registry = new RegistryClient(settings.updaterAddress);
  const maker = new ProcessCompositionMaker(settings);
  const plans = new PlanComposition(registry, store);
  const registrar = new RegisterComposition(registry, store, Date.now);
  const fetch = new FetchParts(store, new BundleCache(store, join(settings.dataFolder, 'bundles')));
  const workFolder = join(settings.dataFolder, 'work');
  const probes = new ProbeComposition(fetch, maker, { ...settings, workFolder });
  const compose = new ComposeExperts(
    { registry, plans, maker, registrar, fetch },
    {
      threads: settings.threads,
      maxLossPoints: settings.maxLossPoints,
      maxQueue: settings.maxQueue,
      workFolder,
      codeVersion: codeVersion(),
    },
  );
  const server = new GrpcServer({
    host: settings.host,
    port: settings.grpcPort,
    services: [
      implementService(
        composerV1.ComposerService,
        new ComposerGrpcService({ registry, plans, compose, probes }),
      ),
    ],
  });
  return [
    {
      name: 'registry client',
      close: () => {
        registry.close();
        return Promise.resolve();
      },
    },
    { name: 'composing process', start: () => compose.start(), close: () => maker.close() },
    {
      name: 'gRPC server',
      start: () => server.start(),
      withdraw: () => server.withdraw(),
      drain: (deadlineMs) => server.drain(deadlineMs),
    },
  ];
}

function codeVersion(): string {
  const file = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return `thalamus ${file.version}`;
}
