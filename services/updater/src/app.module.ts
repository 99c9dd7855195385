import type { DynamicModule } from '@nestjs/common';
import { FolderArtifactStore, SignaturePolicy } from '@thalamus/bundle';
import { artifactV1, jobV1, registryV1, releaseV1, TOPICS } from '@thalamus/contracts';
import { topicSpec } from '@thalamus/events';
import { GrpcServer, implementService } from '@thalamus/grpc';
import { COMPONENTS, type ServiceComponent } from '@thalamus/lifecycle';
import { eventBusFor, HostConnections, RegistryView, ResidencyView } from '@thalamus/registry';
import { createLogger } from '@thalamus/telemetry';
import { ArtifactGrpcService } from './adapters/grpc/artifact.service.js';
import { JobGrpcService } from './adapters/grpc/job.service.js';
import { RegistryGrpcService } from './adapters/grpc/registry.service.js';
import { ReleaseGrpcService } from './adapters/grpc/release.service.js';
import { HostLabels } from './adapters/hosts/host-labels.js';
import { ExpireExperts } from './application/expire-experts.js';
import { JobTable } from './application/job-table.js';
import { ManageKeys } from './application/manage-keys.js';
import { RegisterVersion } from './application/register-version.js';
import { RegistryWriter } from './application/registry-writer.js';
import { ApproveRelease } from './application/release/approve-release.js';
import { AskProbes, type ProbeBudget } from './application/release/ask-probes.js';
import { CheckContract } from './application/release/check-contract.js';
import { ComparePredictions } from './application/release/compare-predictions.js';
import { JudgeGate } from './application/release/judge-gate.js';
import { ListReadings } from './application/release/list-readings.js';
import { ProbeFiles } from './application/release/probe-files.js';
import { ReadEvidence } from './application/release/read-evidence.js';
import { ReleaseGates } from './application/release/release-gates.js';
import { ReleaseLeader } from './application/release/release-leader.js';
import { Releases } from './application/release/releases.js';
import { RepairRelease } from './application/release/repair-release.js';
import { StartRelease } from './application/release/start-release.js';
import { SteerRelease } from './application/release/steer-release.js';
import { TakeRepair } from './application/release/take-repair.js';
import { RenewExpert } from './application/renew-expert.js';
import { RouterModelRegistry } from './application/router/router-model-registry.js';
import { SetChannel } from './application/set-channel.js';
import { StoreResources } from './application/store-resources.js';
import { SubmitJob } from './application/submit-job.js';
import type { UpdaterSettings } from './config.js';

/** Wiring of the updater: the one place where ports meet adapters. */
export class AppModule {
  static register(settings: UpdaterSettings): DynamicModule {
    return {
      module: AppModule,
      providers: [{ provide: COMPONENTS, useFactory: () => components(settings) }],
    };
  }
}

function components(settings: UpdaterSettings): ServiceComponent[] {
  const bus = eventBusFor(settings, 'thalamus-updater');
  const store = new FolderArtifactStore(settings.artifactsFolder);
  const view = new RegistryView(bus);
  const writer: RegistryWriter = new RegistryWriter(
    bus,
    view,
    () => settings.advertise ?? `${settings.host}:${server.port}`,
  );
  const channels = new SetChannel(view, writer);
  const keys = new ManageKeys(view, writer);
  const jobs = new JobTable(bus, writer);
  const register = new RegisterVersion(view, writer, store, SignaturePolicy.load(settings));
  const routerModels = new RouterModelRegistry(view, writer, store);
  const resources = new StoreResources(view, writer, store);
  const renewals = new RenewExpert(view, writer);
  const expiry = new ExpireExperts(view, resources, writer);
  const residency = new ResidencyView(bus);
  const releases = new Releases(view, writer);
  const gates = new ReleaseGates(store);
  const evidence = new ReadEvidence(bus, store, gates);
  const judge = new JudgeGate(gates, evidence, residency);
  const compare = new ComparePredictions(store);
  const contract = new CheckContract(view, store);
  const checks = { compare, contract, gates, probes: new ProbeFiles(store, contract, view) };
  const submit = new SubmitJob(jobs, view);
  const take = new TakeRepair(releases, register, checks, store);
  const repairs = new RepairRelease(releases, jobs, submit, take);
  const connections = new HostConnections(residency);
  const asked = { releases, writer, evidence, files: checks.probes, bus };
  const probes = new AskProbes({ ...asked, hosts: new HostLabels(residency, connections) }, paceOf(settings));
  const leader = new ReleaseLeader(releases, writer, residency, { live: evidence, judge, probes }, repairs);
  const server: GrpcServer = new GrpcServer({
    host: settings.host,
    port: settings.grpcPort,
    services: [
      implementService(
        registryV1.RegistryService,
        new RegistryGrpcService({
          ...{ view, writer, register, routerModels, channels, resources, keys, renewals },
        }),
      ),
      implementService(artifactV1.ArtifactService, new ArtifactGrpcService(store)),
      implementService(jobV1.JobService, new JobGrpcService(jobs, submit)),
      implementService(
        releaseV1.ReleaseService,
        new ReleaseGrpcService({
          ...{ view, channels, compare, releases, repairs, leader },
          starts: new StartRelease(releases, checks),
          steer: new SteerRelease(releases, evidence, judge),
          approvals: new ApproveRelease(releases, judge),
          readings: new ListReadings(releases, evidence, store),
        }),
      ),
    ],
  });
  makeFirstKey(settings, writer, keys);
  const topics = async () => {
    await bus.start();
    await bus.ensureTopics(Object.values(TOPICS).map(topicSpec));
  };
  return [
    {
      name: 'event bus',
      start: topics,
      readiness: () => busReadiness(bus.health()),
      close: () => bus.close(),
    },
    view,
    residency,
    connections,
    // Bound before the candidacy, which tells others the address; drained first, so that calls in flight still find a writer.
    { name: 'gRPC server', start: () => server.start(), withdraw: () => server.withdraw() },
    writer,
    jobs,
    expiry,
    leader,
    probes,
    { name: 'gRPC calls', drain: (deadlineMs) => server.drain(deadlineMs) },
  ];
}

function paceOf({ probeRoundItems, probeRoundMs, probesAtOnce }: UpdaterSettings): ProbeBudget {
  return { roundItems: probeRoundItems, everyMs: probeRoundMs, atOnce: probesAtOnce };
}

/** The key of the first administrator, where a file for it is named. */
function makeFirstKey({ bootstrapKeyFile }: UpdaterSettings, writer: RegistryWriter, keys: ManageKeys): void {
  if (bootstrapKeyFile === undefined) return;
  writer.onElected(async () => {
    // Not awaited: the key is written through the writer that is being elected.
    keys.bootstrap(bootstrapKeyFile).catch((error: unknown) => {
      const logger = createLogger('updater');
      logger.error({ file: bootstrapKeyFile, error }, 'the first administrator’s key was not made');
    });
    await Promise.resolve();
  });
}

function busReadiness(health: { readonly ok: boolean; readonly reason?: string }): {
  ready: boolean;
  reason?: string;
} {
  return { ready: health.ok, ...(health.reason === undefined ? {} : { reason: health.reason }) };
}
