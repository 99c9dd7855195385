import { Controller, Delete, Get, HttpCode, Inject, Param, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { expertJson } from './admin-answers.js';
import { channelBody, remoteExpertBody, removalQuery } from './admin-bodies.js';
import { ADMIN_USE_CASES, type AdminUseCases } from './admin-use-cases.js';
import { readBody } from './read-body.js';
import { verdictJson } from './release-answers.js';
import { callerScope } from './request-scopes.js';

/** Experts: what there is, remote ones to be registered, channels, removal. */
@Controller('/admin/v1/experts')
export class AdminExpertsController {
  constructor(@Inject(ADMIN_USE_CASES) private readonly useCases: AdminUseCases) {}

  @Get()
  list(@Req() request: FastifyRequest) {
    const experts = this.useCases.describeExperts.run(callerScope(request).caller);
    return { object: 'list', data: experts.map(expertJson) };
  }

  @Get('/:name/versions/:version/training')
  async training(
    @Param('name') name: string,
    @Param('version') version: string,
    @Req() request: FastifyRequest,
  ) {
    const curve = await this.useCases.describeTraining.run(name, version, callerScope(request));
    return { object: 'training', expert: name, version, ...curve };
  }

  @Get('/:name/versions/:version/verdict')
  async verdict(
    @Param('name') name: string,
    @Param('version') version: string,
    @Req() request: FastifyRequest,
  ) {
    return verdictJson(await this.useCases.manageReleases.newestOf(name, version, callerScope(request)));
  }

  @Post()
  @HttpCode(201)
  async register(@Req() request: FastifyRequest) {
    const body = readBody(remoteExpertBody, request.body);
    const { baseUrl, model, keyReference, prices, version, expectedRevision, ...rest } = body;
    const upstream = {
      baseUrl,
      model,
      ...(keyReference === undefined ? {} : { keyReference }),
      priceInputUsdPerMtok: prices.inputUsdPerMtok,
      priceOutputUsdPerMtok: prices.outputUsdPerMtok,
    };
    const wish = { ...rest, version, upstream, expectedRevision };
    const { expert, revision, ...made } = await this.useCases.manageExperts.register(
      wish,
      callerScope(request),
    );
    return { object: 'expert', name: expert, ...made, revision: Number(revision) };
  }

  @Delete('/:name')
  async remove(@Param('name') name: string, @Req() request: FastifyRequest) {
    const { expectedRevision } = readBody(removalQuery, request.query);
    const scope = callerScope(request);
    const revision = await this.useCases.manageExperts.remove(name, expectedRevision, scope);
    return { object: 'expert', name, deleted: true, revision: Number(revision) };
  }

  @Post('/:name/channels')
  @HttpCode(200)
  async setChannel(@Param('name') name: string, @Req() request: FastifyRequest) {
    const change = readBody(channelBody, request.body);
    const wish = { ...change, expectedRevision: change.expectedRevision };
    const { version, revision } = await this.useCases.manageExperts.setChannel(
      name,
      wish,
      callerScope(request),
    );
    return { object: 'channel', expert: name, channel: change.channel, version, revision: Number(revision) };
  }
}
