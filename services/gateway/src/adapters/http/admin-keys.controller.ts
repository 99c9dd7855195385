import { Controller, Delete, Get, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { keyJson } from './admin-answers.js';
import { keyBody } from './admin-bodies.js';
import { ADMIN_USE_CASES, type AdminUseCases } from './admin-use-cases.js';
import { readBody } from './read-body.js';
import { callerScope } from './request-scopes.js';

/** API keys. */
@Controller('/admin/v1/keys')
export class AdminKeysController {
  constructor(@Inject(ADMIN_USE_CASES) private readonly useCases: AdminUseCases) {}

  @Get()
  list(@Req() request: FastifyRequest) {
    return { object: 'list', data: this.useCases.manageKeys.list(callerScope(request).caller).map(keyJson) };
  }

  @Post()
  @HttpCode(201)
  async create(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    const { tenant, role, description } = readBody(keyBody, request.body);
    const wish = { tenant, role, description };
    const { key, secret } = await this.useCases.manageKeys.create(wish, callerScope(request));
    void reply.header('cache-control', 'no-store');
    return { ...keyJson(key), secret };
  }

  @Delete('/:id')
  async revoke(@Param('id') id: string, @Req() request: FastifyRequest) {
    return keyJson(await this.useCases.manageKeys.revoke(id, callerScope(request)));
  }
}
