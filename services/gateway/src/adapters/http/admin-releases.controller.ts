import { Controller, Get, HttpCode, Inject, Param, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { DescribedRelease } from '../../application/admin/manage-releases.js';
import { ADMIN_USE_CASES, type AdminUseCases } from './admin-use-cases.js';
import { readBody } from './read-body.js';
import { flipsJson, readingsJson, releaseJson, verdictJson } from './release-answers.js';
import { flipsQuery, reasonBody, releasesQuery, repairBody } from './release-bodies.js';
import { callerScope } from './request-scopes.js';

/** Releases: where each stands and on what it rests, promoting and taking back. */
@Controller('/admin/v1/releases')
export class AdminReleasesController {
  constructor(@Inject(ADMIN_USE_CASES) private readonly useCases: AdminUseCases) {}

  @Get()
  async list(@Req() request: FastifyRequest) {
    const { expert, limit: pageSize, after: pageToken } = readBody(releasesQuery, request.query);
    const query = { expert, pageSize, pageToken };
    const page = await this.useCases.manageReleases.page(query, callerScope(request));
    return {
      object: 'list',
      data: page.releases.map(releaseJson),
      nextPageToken: page.nextPageToken ?? null,
    };
  }

  @Get('/:id')
  async one(@Param('id') id: string, @Req() request: FastifyRequest) {
    return answer(await this.useCases.manageReleases.one(id, callerScope(request)));
  }

  @Get('/:id/flips')
  async flips(@Param('id') id: string, @Req() request: FastifyRequest) {
    const { limit } = readBody(flipsQuery, request.query);
    return flipsJson(id, await this.useCases.manageReleases.flips(id, limit, callerScope(request)));
  }

  @Get('/:id/readings')
  async readings(@Param('id') id: string, @Req() request: FastifyRequest) {
    return readingsJson(id, await this.useCases.manageReleases.readings(id, callerScope(request)));
  }

  @Get('/:id/verdict')
  async verdict(@Param('id') id: string, @Req() request: FastifyRequest) {
    return verdictJson(await this.useCases.manageReleases.one(id, callerScope(request)));
  }

  @Post('/:id/advance')
  @HttpCode(200)
  async advance(@Param('id') id: string, @Req() request: FastifyRequest) {
    const { reason } = readBody(reasonBody, request.body);
    return answer(await this.useCases.manageReleases.advance(id, reason, callerScope(request)));
  }

  @Post('/:id/approve')
  @HttpCode(200)
  async approve(@Param('id') id: string, @Req() request: FastifyRequest) {
    const { reason } = readBody(reasonBody, request.body);
    return answer(await this.useCases.manageReleases.approve(id, reason, callerScope(request)));
  }

  @Post('/:id/promote')
  @HttpCode(200)
  async promote(@Param('id') id: string, @Req() request: FastifyRequest) {
    const { reason } = readBody(reasonBody, request.body);
    return answer(await this.useCases.manageReleases.promote(id, reason, callerScope(request)));
  }

  @Post('/:id/repair')
  @HttpCode(200)
  async repair(@Param('id') id: string, @Req() request: FastifyRequest) {
    const wanted = readBody(repairBody, request.body);
    return answer(await this.useCases.manageReleases.repair(id, wanted, callerScope(request)));
  }

  @Post('/:id/rollback')
  @HttpCode(200)
  async rollBack(@Param('id') id: string, @Req() request: FastifyRequest) {
    const { reason } = readBody(reasonBody, request.body);
    return answer(await this.useCases.manageReleases.rollBack(id, reason, callerScope(request)));
  }
}

function answer(described: DescribedRelease) {
  return { object: 'release', ...releaseJson(described) };
}
