import { Controller, Get, Inject, Param, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { ADMIN_USE_CASES, type AdminUseCases } from './admin-use-cases.js';
import { compositionJson, judgedCompositionJson } from './composition-answers.js';
import { callerScope } from './request-scopes.js';

/** The composed versions, and what was measured when each was made. */
@Controller('/admin/v1/compositions')
export class AdminCompositionsController {
  constructor(@Inject(ADMIN_USE_CASES) private readonly useCases: AdminUseCases) {}

  @Get()
  list(@Req() request: FastifyRequest) {
    const compositions = this.useCases.describeCompositions.run(callerScope(request).caller);
    return { object: 'list', data: compositions.map(compositionJson) };
  }

  @Get('/:name/versions/:version')
  async one(@Param('name') name: string, @Param('version') version: string, @Req() request: FastifyRequest) {
    return judgedCompositionJson(
      await this.useCases.describeCompositions.one(name, version, callerScope(request)),
    );
  }
}
