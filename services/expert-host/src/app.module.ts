import type { DynamicModule } from '@nestjs/common';
import { SignaturePolicy } from '@thalamus/bundle';
import { ATTRIBUTES, inference, METRICS } from '@thalamus/contracts';
import { GrpcServer, implementService } from '@thalamus/grpc';
import type { ChildProcessPool } from '@thalamus/inference';
import { COMPONENTS, type ServiceComponent } from '@thalamus/lifecycle';
import { artifactStoreFor, eventBusFor, RegistryView } from '@thalamus/registry';
import { createLogger, gauge } from '@thalamus/telemetry';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { inferenceProcesses } from './adapters/child/inference-processes.js';
import { ProcessGraphDeriver } from './adapters/child/process-graph-deriver.js';
import { ResidencyPublisher } from './adapters/events/residency-publisher.js';
import { OipService } from './adapters/grpc/oip.service.js';
import { OipHttpServer } from './adapters/http/oip-http-server.js';
import { ExpertLibrary } from './application/expert-library.js';
import { bundleVet } from './application/vet-bundle.js';
import type { HostSettings } from './config.js';

/** Wiring of the expert host. */
export class AppModule {
  static register(settings: HostSettings): DynamicModule {
    return {
      module: AppModule,
      providers: [{ provide: COMPONENTS, useFactory: () => components(settings) }],
    };
  }
}

function components(settings: HostSettings): ServiceComponent[] {
  const logger = createLogger('expert-host');
  const bus = eventBusFor(settings, 'thalamus-expert-host');
  const view = new RegistryView(bus);
  const { processes, calibration, counts } = inferenceProcesses(settings, logger, {
    forSpare: () => library.hasRoomForSpare,
    forRelief: (bytes) => library.hasRoomForRelief(bytes),
  });
  let waiting = 0;
  const library: ExpertLibrary = new ExpertLibrary(view, artifactStoreFor(settings), processes, {
    ...settings,
    onDepth: (change) => {
      waiting += change;
    },
    cacheFolder: join(settings.dataFolder, 'bundles'),
    vet: bundleVet(view, SignaturePolicy.load(settings)),
    deriving: { folder: join(settings.dataFolder, 'derived'), deriver: new ProcessGraphDeriver() },
  });
  let serving = false;
  const oip = new OipService(library, () => serving);
  const server = new GrpcServer({
    host: settings.host,
    port: settings.grpcPort,
    services: [implementService(inference.GRPCInferenceService, oip)],
  });
  const address = () => settings.advertise ?? `${settings.host}:${server.port}`;
  const residency = new ResidencyPublisher(bus, library, view, {
    id: randomUUID(),
    address,
    leaseMs: settings.leaseMs,
    facts: () => ({
      ...memoryFacts(library, processes, settings.memoryLimitBytes),
      runsWaiting: waiting,
      ...counts,
    }),
  });
  let stopGauges: (() => void)[] = [];
  return [
    // Experts that are loaded answer without the bus.
    { name: 'event bus', start: () => bus.start(), close: () => bus.close() },
    view,
    calibration,
    { name: 'inference processes', close: () => processes.close() },
    library,
    {
      name: 'gRPC server',
      start: async () => {
        await server.start();
        serving = true;
        stopGauges = [
          ...residencyGauges(library, settings.memoryLimitBytes),
          gauge(METRICS.queueDepth, () => [[waiting, {}]]),
        ];
      },
      withdraw: () => {
        serving = false;
        server.withdraw();
      },
      drain: (deadlineMs) => {
        for (const stop of stopGauges) stop();
        return server.drain(deadlineMs);
      },
    },
    new OipHttpServer(oip, { ...settings, port: settings.httpPort }),
    residency,
  ];
}

function memoryFacts(
  library: ExpertLibrary,
  { processes, spareBytes }: Pick<ChildProcessPool, 'processes' | 'spareBytes'>,
  limitBytes: number,
) {
  const { residentBytes, waitingForLoads: loadsWaiting, evictions } = library;
  return { limitBytes, residentBytes, loadsWaiting, evictions, processes, spareBytes };
}

function residencyGauges(library: ExpertLibrary, limitBytes: number): (() => void)[] {
  const kind = ATTRIBUTES.memoryKind;
  return [
    gauge(METRICS.residentBytes, () => {
      const { own, shared } = library.residentBytes;
      return [
        [own, { [kind]: 'own' }],
        [shared, { [kind]: 'shared' }],
      ];
    }),
    gauge(METRICS.residentLimit, () => [[limitBytes, {}]]),
    gauge(METRICS.loadsWaiting, () => [[library.waitingForLoads, {}]]),
  ];
}
