import type { DynamicModule, INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { serveConsole } from './adapters/http/console-files.js';
import { HttpErrorFilter } from './adapters/http/http-error.filter.js';
import { answerUnreadable } from './adapters/http/answer-unreadable.js';
import { serveOip } from './adapters/http/oip-routes.js';
import { acceptJson } from './adapters/http/read-body.js';
import { refuseOtherMethods } from './adapters/http/refuse-methods.js';
import { openScopes } from './adapters/http/request-scopes.js';
import { HTTP_PARTS, type HttpParts } from './app.module.js';
import type { GatewaySettings } from './config.js';

/** Makes the Nest application on Fastify: bodies, scopes and errors are ours; listening is left to its component. */
export async function httpApplication(
  module: DynamicModule,
  settings: GatewaySettings,
): Promise<INestApplicationContext> {
  // Set below: the filter needs the application, which needs the adapter.
  const late: { filter?: HttpErrorFilter } = {};
  const onFault = (fault: unknown, request: FastifyRequest, reply: FastifyReply) => {
    late.filter?.answer(fault, request, reply);
  };
  const adapter = new FastifyAdapter({
    logger: false,
    bodyLimit: settings.maxBodyBytes,
    forceCloseConnections: 'idle',
    // A composition is named by its parents.
    routerOptions: { maxParamLength: 512 },
    clientErrorHandler: answerUnreadable,
    frameworkErrors: onFault,
  });
  const application = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    logger: false,
    abortOnError: false,
    bodyParser: false,
  });
  const parts = application.get<HttpParts>(HTTP_PARTS);
  const server: FastifyInstance = adapter.getInstance();
  acceptJson(server, settings.maxBodyBytes);
  openScopes(server, {
    ...parts,
    requestTimeoutMs: settings.requestTimeoutMs,
    chatTimeoutMs: settings.chatTimeoutMs,
  });
  late.filter = new HttpErrorFilter(parts.outcomes);
  application.useGlobalFilters(late.filter);
  const refuse = refuseOtherMethods(server);
  await serveOip(server, { calls: parts.oip, maxBodyBytes: settings.maxBodyBytes, onFault });
  await serveConsole(server);
  await application.init();
  refuse();
  await server.ready();
  parts.server.attach(application);
  return application;
}
