import type { DynamicModule, INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { HttpErrorFilter } from './adapters/http/http-error.filter.js';
import { acceptJson } from './adapters/http/read-body.js';
import { openScopes } from './adapters/http/request-scopes.js';
import { HTTP_PARTS, type HttpParts } from './app.module.js';
import type { GatewaySettings } from './config.js';

/** Makes the Nest application on Fastify: bodies, scopes and errors are ours; listening is left to its component. */
export async function httpApplication(
  module: DynamicModule,
  settings: GatewaySettings,
): Promise<INestApplicationContext> {
  const adapter = new FastifyAdapter({
    logger: false,
    bodyLimit: settings.maxBodyBytes,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 200 },
  });
  const application = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    logger: false,
    abortOnError: false,
    bodyParser: false,
  });
  const parts = application.get<HttpParts>(HTTP_PARTS);
  const server = adapter.getInstance() as unknown as FastifyInstance;
  acceptJson(server, settings.maxBodyBytes);
  openScopes(server, { ...parts, requestTimeoutMs: settings.requestTimeoutMs });
  application.useGlobalFilters(new HttpErrorFilter());
  await application.init();
  await server.ready();
  parts.server.attach(application);
  return application;
}
