import type { DynamicModule } from '@nestjs/common';
import { gatewayV1, inference, routerV1 } from '@thalamus/contracts';
import { SpoolingPublisher } from '@thalamus/events';
import { createClient, GrpcServer, implementService } from '@thalamus/grpc';
import { COMPONENTS, type ServiceComponent } from '@thalamus/lifecycle';
import { eventBusFor, RegistryView, ResidencyView } from '@thalamus/registry';
import { join } from 'node:path';
import { CallScopes } from './adapters/grpc/call-scopes.js';
import { GatewayGrpcService } from './adapters/grpc/gateway.service.js';
import { OipFrontService } from './adapters/grpc/oip-front.service.js';
import { HttpServer } from './adapters/http/http-server.js';
import { RootController } from './adapters/http/root.controller.js';
import { USE_CASES, V1Controller } from './adapters/http/v1.controller.js';
import { Admission } from './application/admission.js';
import { Authenticate } from './application/authenticate.js';
import { ChooseHost } from './application/choose-host.js';
import { ClassifyText } from './application/classify-text.js';
import { EmbedTexts } from './application/embed-texts.js';
import { InferOnHost } from './application/infer-on-host.js';
import { InferTensors } from './application/infer-tensors.js';
import { ListExperts } from './application/list-experts.js';
import { RankExperts } from './application/rank-experts.js';
import { RecordOutcome } from './application/record-outcome.js';
import { ResolveExpert } from './application/resolve-expert.js';
import { RouteText } from './application/route-text.js';
import type { UseCases } from './application/use-cases.js';
import type { GatewaySettings } from './config.js';

/** Nest token of what the HTTP adapter takes besides controllers. */
export const HTTP_PARTS = Symbol('thalamus.gateway.http-parts');

/** What main hands to the HTTP server. */
export interface HttpParts {
  readonly authenticate: Authenticate;
  readonly admission: Admission;
  readonly outcomes: RecordOutcome;
  readonly server: HttpServer;
}

/** Nest token of the gRPC server. */
export const GRPC_SERVER = Symbol('thalamus.gateway.grpc-server');

/** Wiring of the gateway. */
export class AppModule {
  static register(settings: GatewaySettings): DynamicModule {
    const { components, useCases, http, grpc } = wire(settings);
    return {
      module: AppModule,
      controllers: [V1Controller, RootController],
      providers: [
        { provide: COMPONENTS, useValue: components },
        { provide: USE_CASES, useValue: useCases },
        { provide: HTTP_PARTS, useValue: http },
        { provide: GRPC_SERVER, useValue: grpc },
      ],
    };
  }
}

function wire(settings: GatewaySettings) {
  const bus = eventBusFor(settings, 'thalamus-gateway');
  const view = new RegistryView(bus);
  const residency = new ResidencyView(bus);
  const spool = new SpoolingPublisher(bus, { file: join(settings.dataFolder, 'spool.jsonl') });
  const router = createClient(routerV1.RouterService, {
    address: settings.routerAddress,
    defaultDeadlineMs: settings.requestTimeoutMs,
  });
  const inferOnHost = new InferOnHost(new ChooseHost(residency));
  const resolveExpert = new ResolveExpert(view);
  const recordOutcome = new RecordOutcome(spool);
  const routeText = new RouteText(router);
  const useCases: UseCases = {
    classifyText: new ClassifyText(resolveExpert, routeText, inferOnHost, view, recordOutcome),
    embedTexts: new EmbedTexts(resolveExpert, inferOnHost, recordOutcome),
    listExperts: new ListExperts(view),
    rankExperts: new RankExperts(routeText, recordOutcome),
    inferTensors: new InferTensors(resolveExpert, inferOnHost, recordOutcome),
    resolveExpert,
    inferOnHost,
    recordOutcome,
  };
  const authenticate = new Authenticate(view, settings.anonymous);
  const admission = new Admission(view, settings.maxInFlight);
  const scopes = new CallScopes({
    authenticate,
    admission,
    outcomes: recordOutcome,
    requestTimeoutMs: settings.requestTimeoutMs,
  });
  const ready = () => view.readiness().ready;
  const grpc = new GrpcServer({
    host: settings.host,
    port: settings.grpcPort,
    services: [
      implementService(gatewayV1.GatewayService, new GatewayGrpcService(useCases, scopes)),
      implementService(inference.GRPCInferenceService, new OipFrontService(useCases, scopes, ready)),
    ],
  });
  const server = new HttpServer({ host: settings.host, port: settings.httpPort });
  const components: ServiceComponent[] = [
    {
      name: 'event bus',
      start: () => bus.start(),
      // Requests need no bus once the views have caught up; outcomes wait in the spool.
      close: () => bus.close(),
    },
    view,
    residency,
    spool,
    {
      name: 'clients',
      close: () => {
        router.close();
        inferOnHost.close();
        return Promise.resolve();
      },
    },
    {
      name: 'gRPC server',
      start: () => grpc.start(),
      withdraw: () => grpc.withdraw(),
      drain: (deadlineMs) => grpc.drain(deadlineMs),
    },
    server,
  ];
  return {
    components,
    useCases,
    grpc,
    http: { authenticate, admission, outcomes: recordOutcome, server } satisfies HttpParts,
  };
}
