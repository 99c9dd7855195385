import { Controller, Get, Inject, Param, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { routerJson } from './admin-answers.js';
import { ADMIN_USE_CASES, type AdminUseCases } from './admin-use-cases.js';
import { callerScope } from './request-scopes.js';

/** The router models, and how well each did where it was judged. */
@Controller('/admin/v1/routers')
export class AdminRoutersController {
  constructor(@Inject(ADMIN_USE_CASES) private readonly useCases: AdminUseCases) {}

  @Get()
  list(@Req() request: FastifyRequest) {
    const routers = this.useCases.describeRouters.run(callerScope(request).caller);
    return { object: 'list', data: routers.map(routerJson) };
  }

  @Get('/:name/versions/:version/evaluation')
  async evaluation(
    @Param('name') name: string,
    @Param('version') version: string,
    @Req() request: FastifyRequest,
  ) {
    const router = await this.useCases.describeRouters.evaluation(name, version, callerScope(request));
    return { object: 'evaluation', ...routerJson(router), evaluation: router.evaluation ?? null };
  }
}
