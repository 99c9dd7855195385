import type { DynamicModule } from '@nestjs/common';
import { gatewayV1, inference, routerV1 } from '@thalamus/contracts';
import { SpoolingPublisher, type EventBus } from '@thalamus/events';
import { createClient, GrpcServer, implementService } from '@thalamus/grpc';
import { COMPONENTS, type ServiceComponent } from '@thalamus/lifecycle';
import { eventBusFor, RegistryView, ResidencyView } from '@thalamus/registry';
import { join } from 'node:path';
import { CallScopes } from './adapters/grpc/call-scopes.js';
import { guardedService } from './adapters/grpc/guarded-service.js';
import { GatewayGrpcService } from './adapters/grpc/gateway.service.js';
import { OipFrontService } from './adapters/grpc/oip-front.service.js';
import { AdminExpertsController } from './adapters/http/admin-experts.controller.js';
import { AdminHostsController } from './adapters/http/admin-hosts.controller.js';
import { AdminKeysController } from './adapters/http/admin-keys.controller.js';
import { AdminPoliciesController } from './adapters/http/admin-policies.controller.js';
import { AdminReleasesController } from './adapters/http/admin-releases.controller.js';
import { AdminRoutersController } from './adapters/http/admin-routers.controller.js';
import { ADMIN_USE_CASES, type AdminUseCases } from './adapters/http/admin-use-cases.js';
import { AdminCompositionsController } from './adapters/http/admin-compositions.controller.js';
import { AdminController } from './adapters/http/admin.controller.js';
import { ChatController, COMPLETE_CHAT } from './adapters/http/chat.controller.js';
import { HttpServer } from './adapters/http/http-server.js';
import { RootController } from './adapters/http/root.controller.js';
import { USE_CASES, V1Controller } from './adapters/http/v1.controller.js';
import { AddressGuard } from './adapters/upstream/address-guard.js';
import { BreakingUpstream } from './adapters/upstream/breaking-upstream.js';
import { OpenAiUpstream } from './adapters/upstream/openai-upstream.js';
import { readKey } from './adapters/upstream/read-key.js';
import { AskUpdater } from './application/admin/ask-updater.js';
import { ManageExperts } from './application/admin/manage-experts.js';
import { ManageKeys } from './application/admin/manage-keys.js';
import { ManageReleases } from './application/admin/manage-releases.js';
import { ManagePolicies } from './application/admin/manage-policies.js';
import type { Admission } from './application/admission.js';
import { Authenticate } from './application/authenticate.js';
import { AttemptExperts } from './application/chat/attempt-experts.js';
import { Conversations } from './application/chat/conversations.js';
import { CompleteChat, type ChatRouting } from './application/chat/complete-chat.js';
import { DescribeCompositions } from './application/describe-compositions.js';
import { DescribeExperts } from './application/describe-experts.js';
import { DescribeHosts } from './application/describe-hosts.js';
import { DescribeRouters } from './application/describe-routers.js';
import { DescribeTraining } from './application/describe-training.js';
import { FallbackExpert } from './application/fallback-expert.js';
import { LiveBoard, type PriceOf } from './application/live-board.js';
import { ListExperts } from './application/list-experts.js';
import { OipFront } from './application/oip-front.js';
import { RecordOutcome } from './application/record-outcome.js';
import { RenewExperts } from './application/renew-experts.js';
import type { LiveReleases } from './application/releases/live-releases.js';
import { RouteText } from './application/route-text.js';
import { WatchTraffic } from './application/watch-traffic.js';
import type { UseCases } from './application/use-cases.js';
import { environment, type GatewaySettings } from './config.js';
import { wireUseCases } from './wire-use-cases.js';
import { wireVersions } from './wire-versions.js';

/** Nest token of what the HTTP adapter takes besides controllers. */
export const HTTP_PARTS = Symbol('thalamus.gateway.http-parts');

/** What main hands to the HTTP server. */
export interface HttpParts {
  readonly authenticate: Authenticate;
  readonly admission: Admission;
  readonly outcomes: RecordOutcome;
  readonly oip: OipFront;
  readonly server: HttpServer;
}

/** Nest token of the gRPC server. */
export const GRPC_SERVER = Symbol('thalamus.gateway.grpc-server');

const ADMIN_CONTROLLERS = [
  AdminController,
  AdminExpertsController,
  AdminHostsController,
  AdminRoutersController,
  AdminCompositionsController,
  AdminReleasesController,
  AdminPoliciesController,
  AdminKeysController,
];

/** Wiring of the gateway. */
export class AppModule {
  static register(settings: GatewaySettings): DynamicModule {
    const { components, useCases, admin, completeChat, http, grpc } = wire(settings);
    return {
      module: AppModule,
      controllers: [V1Controller, ChatController, ...ADMIN_CONTROLLERS, RootController],
      providers: [
        { provide: COMPONENTS, useValue: components },
        { provide: USE_CASES, useValue: useCases },
        { provide: COMPLETE_CHAT, useValue: completeChat },
        { provide: ADMIN_USE_CASES, useValue: admin },
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
  const versions = wireVersions(settings, { view, residency, sink: spool });
  const { admission, resolveExpert } = versions;
  const updater = new AskUpdater(settings.updaterAddress);
  const renewExperts = new RenewExperts(view, (expert) => updater.renew(expert));
  const recordOutcome = new RecordOutcome(spool, renewExperts);
  const routeText = new RouteText(router);
  const fallback = new FallbackExpert(view, resolveExpert);
  const guard = new AddressGuard(settings.upstreamAllow);
  const { upstream, completeChat } = wireChat(settings, guard, {
    resolveExpert,
    routeText,
    fallback,
    conversations: new Conversations(settings.conversations),
    view,
    recordOutcome,
  });
  const listExperts = new ListExperts(view);
  const watchTraffic = new WatchTraffic(bus, new LiveBoard(priceOf(view)));
  const { useCases, close: closeCompositions } = wireUseCases(settings, {
    view,
    residency,
    routeText,
    fallback,
    listExperts,
    recordOutcome,
    ...versions,
  });
  const authenticate = new Authenticate(view, settings.anonymous);
  const scopes = new CallScopes({
    authenticate,
    admission,
    outcomes: recordOutcome,
    requestTimeoutMs: settings.requestTimeoutMs,
  });
  const oip = new OipFront(useCases, () => view.readiness().ready);
  const grpc = grpcServer(settings, useCases, scopes, oip);
  const server = new HttpServer({ host: settings.host, port: settings.httpPort });
  const admin = wireAdmin(updater, guard, {
    ...{ listExperts, view, residency, watchTraffic, server },
    releases: versions.releases,
  });
  const components = [
    ...sources(bus, [view, residency, ...versions.followers, watchTraffic, spool]),
    versions.hosts,
    versions.mirror,
    closing(() => {
      router.close();
      updater.close();
      closeCompositions();
      return upstream.close();
    }),
    {
      name: 'gRPC server',
      start: () => grpc.start(),
      withdraw: () => {
        grpc.withdraw();
      },
      drain: (deadlineMs: number) => grpc.drain(deadlineMs),
    },
    server,
  ];
  return {
    components,
    useCases,
    admin,
    completeChat,
    grpc,
    http: { authenticate, admission, outcomes: recordOutcome, oip, server } satisfies HttpParts,
  };
}

function grpcServer(
  { host, grpcPort }: GatewaySettings,
  useCases: UseCases,
  scopes: CallScopes,
  oip: OipFront,
): GrpcServer {
  return new GrpcServer({
    host,
    port: grpcPort,
    services: [
      implementService(gatewayV1.GatewayService, new GatewayGrpcService(useCases, scopes)),
      implementService(inference.GRPCInferenceService, new OipFrontService(oip, scopes)),
    ].map((bound) => guardedService(bound, scopes)),
  });
}

function sources(bus: EventBus, views: readonly ServiceComponent[]): ServiceComponent[] {
  // Requests need no bus once the views have caught up; outcomes wait in the spool.
  return [{ name: 'event bus', start: () => bus.start(), close: () => bus.close() }, ...views];
}

function closing(close: () => Promise<void>): ServiceComponent {
  return { name: 'clients', close };
}

function wireAdmin(
  updater: AskUpdater,
  guard: AddressGuard,
  parts: Pick<AdminUseCases, 'watchTraffic'> & {
    readonly listExperts: ListExperts;
    readonly view: RegistryView;
    readonly residency: ResidencyView;
    readonly releases: LiveReleases;
    readonly server: HttpServer;
  },
): AdminUseCases {
  const { view, watchTraffic } = parts;
  return {
    describeExperts: new DescribeExperts(parts.listExperts, view, parts.residency),
    describeHosts: new DescribeHosts(parts.listExperts, parts.residency),
    describeTraining: new DescribeTraining(parts.listExperts, view, updater),
    describeRouters: new DescribeRouters(parts.listExperts, view, updater),
    describeCompositions: new DescribeCompositions(parts.listExperts, view, updater),
    watchTraffic,
    manageExperts: new ManageExperts(updater, view, (url) => {
      guard.check(url);
    }),
    managePolicies: new ManagePolicies(updater, view),
    manageKeys: new ManageKeys(updater, view),
    manageReleases: new ManageReleases(updater, view, parts.listExperts, parts.releases),
    draining: parts.server.draining,
  };
}

function wireChat(
  settings: GatewaySettings,
  guard: AddressGuard,
  parts: ChatRouting & {
    readonly view: RegistryView;
    readonly recordOutcome: RecordOutcome;
  },
) {
  const upstream = new OpenAiUpstream(guard, {
    connections: settings.upstreamConnections,
    connectTimeoutMs: settings.upstreamConnectTimeoutMs,
    idleTimeoutMs: settings.upstreamIdleTimeoutMs,
    readKey: (reference) => readKey(reference, settings.upstreamKeyFolder, environment()),
  });
  const breaking = new BreakingUpstream(upstream, settings.upstreamPauseMs);
  const experts = new AttemptExperts(parts.view);
  return { upstream, completeChat: new CompleteChat(parts, breaking, experts, parts.recordOutcome) };
}

/** Prices of the stable version of an expert, when it has any. */
function priceOf(view: RegistryView): PriceOf {
  return (expert) => {
    const stable = view.stableVersion(expert);
    if (!stable || (stable.priceInputUsdPerMtok === 0 && stable.priceOutputUsdPerMtok === 0))
      return undefined;
    return { input: stable.priceInputUsdPerMtok, output: stable.priceOutputUsdPerMtok };
  };
}
