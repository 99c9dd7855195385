import { Controller, Get, Inject, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ADMIN_USE_CASES, type AdminUseCases } from './admin-use-cases.js';
import { callerScope } from './request-scopes.js';

/** Unsent bytes after which a reader that does not keep up loses snapshots, not memory of ours. */
const MAX_UNSENT_BYTES = 64 * 1024;

/** Who asks, and how the mesh is doing. */
@Controller('/admin/v1')
export class AdminController {
  constructor(@Inject(ADMIN_USE_CASES) private readonly useCases: AdminUseCases) {}

  @Get('/session')
  session(@Req() request: FastifyRequest) {
    const { tenant, role, id } = callerScope(request).caller;
    return { object: 'session', tenant, role, key: id };
  }

  /** Server-sent events, one snapshot of the traffic a second, until the reader leaves or the gateway drains. */
  @Get('/live')
  live(@Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    callerScope(request);
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    const stop = this.useCases.watchTraffic.watch((snapshot) => {
      if (raw.writableLength < MAX_UNSENT_BYTES) raw.write(`data: ${JSON.stringify(snapshot)}\n\n`);
    });
    const end = () => raw.end();
    const { draining } = this.useCases;
    draining.addEventListener('abort', end);
    raw.once('close', () => {
      stop();
      draining.removeEventListener('abort', end);
    });
  }
}
