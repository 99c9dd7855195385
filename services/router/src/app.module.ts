import type { DynamicModule } from '@nestjs/common';
import { routerV1 } from '@thalamus/contracts';
import { GrpcServer, implementService } from '@thalamus/grpc';
import { OrtRuntime } from '@thalamus/inference';
import { COMPONENTS, type ServiceComponent } from '@thalamus/lifecycle';
import { artifactStoreFor, eventBusFor, RegistryView, ResidencyView } from '@thalamus/registry';
import { join } from 'node:path';
import { RouterGrpcService } from './adapters/grpc/router.service.js';
import { Candidates } from './application/candidates.js';
import { CorrectionView } from './application/online/correction-view.js';
import { Corrector } from './application/online/corrector.js';
import type { CorrectorSettings } from './application/online/corrector-term.js';
import { JudgeOutcome } from './application/online/judge-outcome.js';
import { RoutePrompt } from './application/route-prompt.js';
import { RouterModels } from './application/router-models.js';
import type { RouterSettings } from './config.js';

/** Nest token of the gRPC server. */
export const GRPC_SERVER = Symbol('thalamus.router.grpc-server');

/** Wiring of the router. */
export class AppModule {
  static register(settings: RouterSettings): DynamicModule {
    const { components, server } = wire(settings);
    return {
      module: AppModule,
      providers: [
        { provide: COMPONENTS, useValue: components },
        { provide: GRPC_SERVER, useValue: server },
      ],
    };
  }
}

function wire(settings: RouterSettings) {
  const bus = eventBusFor(settings, 'thalamus-router');
  const view = new RegistryView(bus);
  const residency = new ResidencyView(bus);
  const models = new RouterModels(view, artifactStoreFor(settings), new OrtRuntime(), {
    ...settings,
    cacheFolder: join(settings.dataFolder, 'bundles'),
    retryMs: settings.modelRetryMs,
  });
  const corrections = new CorrectionView(bus, view);
  const online = { corrections, stayMargin: settings.stayMargin };
  const routePrompt = new RoutePrompt(models, new Candidates(view, residency), view, online);
  const judge = new JudgeOutcome(models, view, corrections);
  const parts = { bus, view: corrections, judge, settings: correctorSettings(settings) };
  const corrector: Corrector = new Corrector(bus, view, parts, () => `${settings.host}:${server.port}`);
  const server: GrpcServer = new GrpcServer({
    host: settings.host,
    port: settings.grpcPort,
    services: [implementService(routerV1.RouterService, new RouterGrpcService(routePrompt, models))],
  });
  const components: ServiceComponent[] = [
    // Decisions need no bus once the views have caught up.
    { name: 'event bus', start: () => bus.start(), close: () => bus.close() },
    view,
    residency,
    corrections,
    models,
    {
      name: 'gRPC server',
      start: () => server.start(),
      withdraw: () => server.withdraw(),
      drain: (deadlineMs) => server.drain(deadlineMs),
    },
    corrector,
  ];
  return { components, server };
}

function correctorSettings(settings: RouterSettings): CorrectorSettings {
  return {
    correction: {
      priorWeight: settings.correctionPrior,
      bound: settings.correctionBound,
      halfLifeMs: settings.correctionHalfLifeMs,
      memory: settings.correctionMemory,
    },
    drift: { tolerance: settings.driftTolerance, runLength: settings.driftRunLength },
    window: { capacity: settings.feedbackWindow, ageMs: settings.feedbackWindowMs },
    sweepMs: settings.correctionSweepMs,
  };
}
