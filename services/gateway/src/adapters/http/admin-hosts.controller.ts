import { Controller, Get, Inject, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { hostJson } from './admin-answers.js';
import { ADMIN_USE_CASES, type AdminUseCases } from './admin-use-cases.js';
import { callerScope } from './request-scopes.js';

/** The expert hosts, and what they keep in memory. */
@Controller('/admin/v1/hosts')
export class AdminHostsController {
  constructor(@Inject(ADMIN_USE_CASES) private readonly useCases: AdminUseCases) {}

  @Get()
  list(@Req() request: FastifyRequest) {
    const hosts = this.useCases.describeHosts.run(callerScope(request).caller);
    return { object: 'list', data: hosts.map(hostJson) };
  }
}
