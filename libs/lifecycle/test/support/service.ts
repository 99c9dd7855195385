// A service of the tests: gRPC on a free port; Stat and Get wait until the parent sends `release`.
import { defineSettings, grpcSettings, opsSettings, setting, telemetrySettings } from '@thalamus/config';
import { artifactV1 } from '@thalamus/contracts';
import { GrpcServer, implementService, type ServiceImplementation } from '@thalamus/grpc';
import { z } from 'zod';
import { COMPONENTS, runService, type ServiceComponent } from '../../src/index.js';

const release = Promise.withResolvers<undefined>();
const released = release.promise;

const artifacts: Partial<ServiceImplementation<typeof artifactV1.ArtifactService>> = {
  stat: async () => {
    process.send?.({ kind: 'unary began' });
    await released;
    return { artifacts: [{ digest: 'whole' }] };
  },
  get: async function* () {
    yield { totalBytes: 1n };
    await released;
    for (let index = 2n; index <= 20n; index++) yield { totalBytes: index };
  },
  put: () => Promise.resolve({}),
};

class TestModule {
  readonly name = 'test';
}

await runService({
  name: 'test-service',
  summary: 'holds calls until it is told to go on',
  settings: defineSettings({
    ...grpcSettings(0),
    ...opsSettings(0),
    ...telemetrySettings(),
    mode: setting('THALAMUS_MODE', z.enum(['work', 'fail', 'crash']).default('work'), 'What it does.'),
  }),
  module: (settings) => ({
    module: TestModule,
    providers: [{ provide: COMPONENTS, useFactory: () => components(settings) }],
  }),
});

function components(settings: {
  readonly host: string;
  readonly grpcPort: number;
  readonly mode: string;
}): ServiceComponent[] {
  process.on('message', (text) => {
    if (text === 'release') release.resolve(undefined);
  });
  const server = new GrpcServer({
    host: settings.host,
    port: settings.grpcPort,
    services: [
      implementService(
        artifactV1.ArtifactService,
        artifacts as ServiceImplementation<typeof artifactV1.ArtifactService>,
      ),
    ],
  });
  const faulty: ServiceComponent = {
    name: 'faulty',
    start: () => {
      if (settings.mode === 'fail') throw new Error('the model file m.onnx is missing; run "npm ci"');
      if (settings.mode === 'crash')
        setTimeout(() => {
          throw new Error('quoting a prompt');
        }, 0);
      return Promise.resolve();
    },
  };
  return [
    faulty,
    {
      name: 'gRPC server',
      start: async () => {
        await server.start();
        process.send?.({ kind: 'grpc', port: server.port });
      },
      withdraw: () => {
        server.withdraw();
      },
      drain: (deadlineMs) => server.drain(deadlineMs),
    },
  ];
}
