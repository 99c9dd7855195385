import { Controller, Get, Inject, Req, Res } from '@nestjs/common';
import { registryV1 } from '@thalamus/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { DescribedExpert, DescribeExperts } from '../../application/describe-experts.js';
import type { WatchTraffic } from '../../application/watch-traffic.js';
import { callerScope } from './request-scopes.js';

/** Nest token of what the admin API needs. */
export const ADMIN_USE_CASES = Symbol('thalamus.gateway.admin-use-cases');

/** What the admin API is made of. */
export interface AdminUseCases {
  readonly describeExperts: DescribeExperts;
  readonly watchTraffic: WatchTraffic;
}

/** Unsent bytes after which a reader that does not keep up loses snapshots, not memory of ours. */
const MAX_UNSENT_BYTES = 64 * 1024;

/** The admin API: what the console and operators read and change. */
@Controller('/admin/v1')
export class AdminController {
  constructor(@Inject(ADMIN_USE_CASES) private readonly useCases: AdminUseCases) {}

  @Get('/session')
  session(@Req() request: FastifyRequest) {
    const { tenant, role, id } = callerScope(request).caller;
    return { object: 'session', tenant, role, key: id };
  }

  @Get('/experts')
  experts(@Req() request: FastifyRequest) {
    const experts = this.useCases.describeExperts.run(callerScope(request).caller);
    return { object: 'list', data: experts.map(expertJson) };
  }

  /** Server-sent events, one snapshot of the traffic a second. */
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
    raw.once('close', stop);
  }
}

function expertJson({ expert, versions }: DescribedExpert) {
  return {
    name: expert.name,
    task: expert.task,
    description: expert.description,
    stable: expert.stable,
    versions: versions.map(({ version, channels, residents }) => ({
      version: version.version,
      kind: registryV1.ExpertKind[version.kind].toLowerCase(),
      channels,
      parameterCount: Number(version.parameterCount),
      sizeBytes: Number(version.sizeBytes),
      licence: version.licence,
      evaluation: version.evaluation.map(({ dataset, split, metric, value, n }) => ({
        dataset,
        split,
        metric,
        value,
        n: Number(n),
      })),
      residents: residents.map(({ address, state, memoryBytes }) => ({
        host: address,
        state,
        memoryBytes,
        errorCode: '',
      })),
    })),
  };
}
