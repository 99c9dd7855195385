import type { DynamicModule } from '@nestjs/common';
import { JOB_KINDS } from '@thalamus/contracts';
import { COMPONENTS, type ServiceComponent } from '@thalamus/lifecycle';
import { artifactStoreFor } from '@thalamus/registry';
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { JobTableClient } from './adapters/grpc/job-table-client.js';
import { RegistryClient } from './adapters/grpc/registry-client.js';
import { startJobProcess } from './adapters/child/start-job-process.js';
import { JobInputs } from './application/job-inputs.js';
import { RunEvaluate } from './application/run-evaluate.js';
import { RunLossTable } from './application/run-loss-table.js';
import { RunRepair } from './application/run-repair.js';
import { RunTrain } from './application/run-train.js';
import { WorkLoop } from './application/work-loop.js';
import type { WorkerSettings } from './config.js';

const WAIT_MS = 20_000;

/** Wiring of the worker. */
export class AppModule {
  static register(settings: WorkerSettings): DynamicModule {
    return {
      module: AppModule,
      providers: [{ provide: COMPONENTS, useFactory: () => components(settings) }],
    };
  }
}

function components(settings: WorkerSettings): ServiceComponent[] {
  const { updaterAddress, dataFolder, threads, leaseMs, checkpointMs } = settings;
  const jobs = new JobTableClient(updaterAddress);
  const registry = new RegistryClient(updaterAddress);
  const store = artifactStoreFor(settings);
  const inputs = new JobInputs(store, dataFolder);
  const supervision = { startWork: startJobProcess, store, checkpointMs };
  const train = new RunTrain(inputs, store, registry, supervision, threads);
  const evaluate = new RunEvaluate(inputs, store, registry, supervision, threads);
  const lossTable = new RunLossTable(inputs, store, supervision, threads);
  const repair = new RunRepair(inputs, store, registry, supervision, threads);
  const loop = new WorkLoop(
    jobs,
    {
      [JOB_KINDS.train]: (claim) => train.run(claim),
      [JOB_KINDS.evaluate]: (claim) => evaluate.run(claim),
      [JOB_KINDS.lossTable]: (claim) => lossTable.run(claim),
      [JOB_KINDS.repair]: (claim) => repair.run(claim),
    },
    { worker: `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`, leaseMs, waitMs: WAIT_MS },
  );
  const closeClients = () => {
    jobs.close();
    registry.close();
    return Promise.resolve();
  };
  return [
    { name: 'updater clients', close: closeClients },
    { name: 'job folder', start: () => inputs.start() },
    loop,
  ];
}
