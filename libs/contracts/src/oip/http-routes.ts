import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { create } from '@bufbuild/protobuf';
import type { ThalamusError } from '@thalamus/errors';
import {
  ModelConfigRequestSchema,
  ModelMetadataRequestSchema,
  ModelMetadataResponseSchema,
  ModelReadyRequestSchema,
  ModelStatisticsRequestSchema,
  ModelStatisticsResponseSchema,
  RepositoryIndexRequestSchema,
  RepositoryIndexResponseSchema,
  RepositoryModelLoadRequestSchema,
  RepositoryModelUnloadRequestSchema,
  ServerLiveRequestSchema,
  ServerMetadataRequestSchema,
  ServerMetadataResponseSchema,
  ServerReadyRequestSchema,
  type GRPCInferenceService,
} from '../gen/inference/grpc_service_pb.js';
import { ModelConfigSchema } from '../gen/inference/model_config_pb.js';
import { flagOf, invalidField, objectOf, textOf } from '../json/json-fields.js';
import { readJsonObject, writeJson } from '../json/read-json.js';
import { decodeBody, encodeBody } from './content-coding.js';
import { HEADER_LENGTH, readInferRequest } from './infer-request.js';
import { writeInferResponse } from './infer-response.js';
import { parameterFields, parametersOf } from './json-parameters.js';
import { messageJson } from './message-json.js';

type Methods = (typeof GRPCInferenceService)['method'];
type UnaryName = { [K in keyof Methods]: Methods[K] extends DescMethodUnary ? K : never }[keyof Methods];

/** The calls of the protocol that have one answer, by whatever transport; `C` is what a call carries besides its message. */
export type OipCalls<C> = {
  [K in UnaryName]: (
    request: MessageShape<Methods[K]['input']>,
    context: C,
  ) => Promise<MessageInitShape<Methods[K]['output']>>;
};

/** A request over HTTP, its body whole but as it was sent. */
export interface OipQuestion {
  /** Parts of the path, decoded; empty where the route has none. */
  readonly model: string;
  readonly version: string;
  /** Headers by lower-case name. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Uint8Array;
  /** Bound of a body that is sent compressed, bytes. */
  readonly maxBodyBytes: number;
}

/** What is answered over HTTP. */
export interface OipReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** A route of the protocol over HTTP. */
export interface OipRoute {
  readonly method: 'GET' | 'POST';
  /** With `:model` and `:version` for the parts that callers choose. */
  readonly path: string;
  /** The call that it stands for. */
  readonly rpc: string;
  /** @throws REQUEST_INVALID, TENSOR_INVALID, REQUEST_TOO_LARGE, MEDIA_TYPE_UNSUPPORTED, and what the call throws */
  readonly answer: <C>(calls: OipCalls<C>, question: OipQuestion, context: C) => Promise<OipReply>;
}

/** Triton's status of what is not ready; the protocol asks for one of 4xx. */
const NOT_READY = 400;

const MODEL = '/v2/models/:model';
const REPOSITORY = '/v2/repository';

/** A route, and the same for a named version. */
const versioned = (tail: string, rest: Omit<OipRoute, 'path'>): OipRoute[] =>
  [`${MODEL}${tail}`, `${MODEL}/versions/:version${tail}`].map((path) => ({ ...rest, path }));

/**
 * The Open Inference Protocol v2 over HTTP with Triton's extensions. Fixed parts of a path go before parameters: a model of the
 * name `stats` is not described.
 * Sources: KServe, docs/predict-api/v2/required_api.md; Triton, docs/protocol.
 */
export const OIP_ROUTES: readonly OipRoute[] = [
  {
    method: 'GET',
    path: '/v2',
    rpc: 'ServerMetadata',
    answer: async (calls, _question, context) =>
      message(
        ServerMetadataResponseSchema,
        await calls.serverMetadata(create(ServerMetadataRequestSchema), context),
      ),
  },
  {
    method: 'GET',
    path: '/v2/health/live',
    rpc: 'ServerLive',
    answer: async (calls, _question, context) => {
      const { live = false } = await calls.serverLive(create(ServerLiveRequestSchema), context);
      return json({ live }, live ? 200 : NOT_READY);
    },
  },
  {
    method: 'GET',
    path: '/v2/health/ready',
    rpc: 'ServerReady',
    answer: async (calls, _question, context) => {
      const { ready = false } = await calls.serverReady(create(ServerReadyRequestSchema), context);
      return json({ ready }, ready ? 200 : NOT_READY);
    },
  },
  {
    method: 'GET',
    path: '/v2/models/stats',
    rpc: 'ModelStatistics',
    answer: async (calls, _question, context) =>
      statistics(await calls.modelStatistics(create(ModelStatisticsRequestSchema), context)),
  },
  ...versioned('', {
    method: 'GET',
    rpc: 'ModelMetadata',
    answer: async (calls, { model, version }, context) =>
      message(
        ModelMetadataResponseSchema,
        await calls.modelMetadata(create(ModelMetadataRequestSchema, { name: model, version }), context),
      ),
  }),
  ...versioned('/ready', {
    method: 'GET',
    rpc: 'ModelReady',
    answer: async (calls, { model, version }, context) => {
      const request = create(ModelReadyRequestSchema, { name: model, version });
      const { ready = false } = await calls.modelReady(request, context);
      return json({ name: model, ready }, ready ? 200 : NOT_READY);
    },
  }),
  ...versioned('/config', {
    method: 'GET',
    rpc: 'ModelConfig',
    answer: async (calls, { model, version }, context) => {
      const { config } = await calls.modelConfig(
        create(ModelConfigRequestSchema, { name: model, version }),
        context,
      );
      return message(ModelConfigSchema, config ?? {});
    },
  }),
  ...versioned('/stats', {
    method: 'GET',
    rpc: 'ModelStatistics',
    answer: async (calls, { model, version }, context) =>
      statistics(
        await calls.modelStatistics(create(ModelStatisticsRequestSchema, { name: model, version }), context),
      ),
  }),
  ...versioned('/infer', { method: 'POST', rpc: 'ModelInfer', answer: infer }),
  {
    method: 'POST',
    path: `${REPOSITORY}/index`,
    rpc: 'RepositoryIndex',
    answer: async (calls, question, context) => {
      const fields = objectOf(await optionalBody(question), '', ['ready', 'repository_name']);
      const ready = flagOf(fields['ready'], 'ready', false);
      const repositoryName = textOf(fields['repository_name'], 'repository_name');
      const index = await calls.repositoryIndex(
        create(RepositoryIndexRequestSchema, { ready, repositoryName }),
        context,
      );
      // The list stands alone over HTTP.
      return json((messageJson(RepositoryIndexResponseSchema, index) as { models: unknown }).models);
    },
  },
  {
    method: 'POST',
    path: `${REPOSITORY}/models/:model/load`,
    rpc: 'RepositoryModelLoad',
    answer: async (calls, question, context) => {
      const request = create(RepositoryModelLoadRequestSchema, await change(question));
      await calls.repositoryModelLoad(request, context);
      return json({});
    },
  },
  {
    method: 'POST',
    path: `${REPOSITORY}/models/:model/unload`,
    rpc: 'RepositoryModelUnload',
    answer: async (calls, question, context) => {
      const request = create(RepositoryModelUnloadRequestSchema, await change(question));
      await calls.repositoryModelUnload(request, context);
      return json({});
    },
  },
];

/** Body of a failure: code and text, as messages of a stream have them. */
export function oipErrorJson({ code, message: text }: ThalamusError): { readonly error: string } {
  return { error: `${code}: ${text}` };
}

async function infer<C>(calls: OipCalls<C>, question: OipQuestion, context: C): Promise<OipReply> {
  const { model: modelName, version: modelVersion, headers } = question;
  const head = { modelName, modelVersion, headerLength: single(headers[HEADER_LENGTH]) };
  const { request, binary } = readInferRequest(await plainBody(question), head);
  const written = writeInferResponse(await calls.modelInfer(request, context), binary);
  const { body, coding } = await encodeBody(written.body, single(headers['accept-encoding']));
  const isJson = written.headerLength === undefined;
  return {
    status: 200,
    headers: {
      'content-type': isJson ? 'application/json' : 'application/octet-stream',
      ...(isJson ? {} : { [HEADER_LENGTH]: String(written.headerLength) }),
      ...(coding === undefined ? {} : { 'content-encoding': coding }),
      vary: 'accept-encoding',
    },
    body,
  };
}

/** A load or an unload. */
async function change(question: OipQuestion) {
  const fields = objectOf(await optionalBody(question), '', ['parameters']);
  const parameters = parametersOf(parameterFields(fields['parameters'], 'parameters'), 'parameters');
  return { modelName: question.model, parameters: repositoryParameters(parameters) };
}

/** Parameters of a repository have no fractions and no more than 64 bits. @throws REQUEST_INVALID */
function repositoryParameters(parameters: ReturnType<typeof parametersOf>) {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, { parameterChoice: choice }]) => {
      if (choice?.case === 'boolParam' || choice?.case === 'int64Param' || choice?.case === 'stringParam')
        return [name, { parameterChoice: choice }];
      throw invalidField(
        `parameters.${name.slice(0, 64)}`,
        'must be true, false, a text or a whole number of 64 bits',
      );
    }),
  );
}

/** The object of a body that may be left out. */
async function optionalBody(question: OipQuestion): Promise<unknown> {
  const body = await plainBody(question);
  return body.byteLength === 0 ? {} : readJsonObject(body, 'exact');
}

function plainBody({ body, headers, maxBodyBytes }: OipQuestion): Promise<Uint8Array> {
  return decodeBody(body, single(headers['content-encoding']), maxBodyBytes);
}

function single(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'object' ? value.join(', ') : value;
}

function statistics(answer: MessageInitShape<typeof ModelStatisticsResponseSchema>): OipReply {
  return message(ModelStatisticsResponseSchema, answer);
}

function message<D extends DescMessage>(schema: D, answer: MessageInitShape<D>): OipReply {
  return json(messageJson(schema, answer));
}

function json(value: unknown, status = 200): OipReply {
  return { status, headers: { 'content-type': 'application/json' }, body: Buffer.from(writeJson(value)) };
}
