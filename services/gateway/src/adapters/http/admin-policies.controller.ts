import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { Controller, Get, Inject, Param, Put, Req } from '@nestjs/common';
import { registryV1 } from '@thalamus/contracts';
import type { FastifyRequest } from 'fastify';
import { policyJson } from './admin-answers.js';
import { policyBody } from './admin-bodies.js';
import { ADMIN_USE_CASES, type AdminUseCases } from './admin-use-cases.js';
import { readBody } from './read-body.js';
import { callerScope } from './request-scopes.js';

const CORRECTIONS = {
  on: registryV1.OnlineCorrection.ON,
  frozen: registryV1.OnlineCorrection.FROZEN,
  off: registryV1.OnlineCorrection.OFF,
} as const;

/** What tenants may do and want by default. */
@Controller('/admin/v1/policies')
export class AdminPoliciesController {
  constructor(@Inject(ADMIN_USE_CASES) private readonly useCases: AdminUseCases) {}

  @Get()
  list(@Req() request: FastifyRequest) {
    const policies = this.useCases.managePolicies.list(callerScope(request).caller);
    return { object: 'list', data: policies.map(policyJson) };
  }

  @Get('/:tenant')
  get(@Param('tenant') tenant: string, @Req() request: FastifyRequest) {
    return policyJson(this.useCases.managePolicies.get(tenant, callerScope(request).caller));
  }

  @Put('/:tenant')
  async put(@Param('tenant') tenant: string, @Req() request: FastifyRequest) {
    const {
      expectedRevision,
      maxParameters,
      onlineCorrection,
      correctionsResetAt,
      risk,
      exploration,
      ...rest
    } = readBody(policyBody, request.body);
    const policy = {
      ...rest,
      ...(risk ? { risk } : {}),
      ...(exploration ? { exploration } : {}),
      maxParameters: BigInt(maxParameters),
      onlineCorrection: CORRECTIONS[onlineCorrection],
      ...(correctionsResetAt === null
        ? {}
        : { correctionsResetAt: timestampFromDate(new Date(correctionsResetAt)) }),
    };
    const scope = callerScope(request);
    return policyJson(await this.useCases.managePolicies.put(tenant, policy, expectedRevision, scope));
  }
}
