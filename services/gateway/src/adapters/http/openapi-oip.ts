import { OIP_ROUTES, type OipRoute } from '@thalamus/contracts';
import type { ErrorCode } from '@thalamus/errors';
import { oipSchemas } from './oip-schemas.js';
import {
  CALLING,
  COMPOSING,
  get,
  GUARDED,
  open,
  PARAMETERS,
  pathParameter,
  post,
  ROUTING,
  RUNNING,
  WITH_BODY,
  type Operation,
} from './openapi-parts.js';

type Described = Pick<Operation, 'id' | 'summary' | 'answer' | 'body'> & {
  readonly errors?: readonly ErrorCode[];
  readonly isOpen?: boolean;
};

const ASKING = [...GUARDED, ...CALLING, 'EXPERT_NOT_FOUND', 'PERMISSION_DENIED', 'EXPERT_NOT_READY'] as const;
/** Not ready is 400, as Triton has it; the answer says so, without an error. */
const NOT_READY = 'Not ready: 400, with "ready": false.';

/** What each call of the protocol is over HTTP. */
const CALLS: Readonly<Record<string, Described>> = {
  ServerMetadata: {
    id: 'oipServer',
    summary: 'What the server is.',
    answer: oipSchemas.server,
    isOpen: true,
  },
  ServerLive: {
    id: 'oipLive',
    summary: 'Whether the server is alive.',
    answer: oipSchemas.live,
    isOpen: true,
  },
  ServerReady: {
    id: 'oipReady',
    summary: `Whether the server takes inferences. ${NOT_READY}`,
    answer: oipSchemas.ready,
    isOpen: true,
  },
  ModelMetadata: {
    id: 'oipModel',
    summary: 'Inputs and outputs of a model; without a version of the stable one.',
    answer: oipSchemas.model,
    errors: ASKING,
  },
  ModelReady: {
    id: 'oipModelReady',
    summary: `Whether some host has a model ready. ${NOT_READY}`,
    answer: oipSchemas.modelReady,
    errors: ASKING,
  },
  ModelConfig: {
    id: 'oipModelConfig',
    summary: 'Configuration of a model, as Triton has it.',
    answer: oipSchemas.config,
    errors: ASKING,
  },
  ModelStatistics: {
    id: 'oipStatistics',
    summary: 'Statistics of inferences on the host that is asked first.',
    answer: oipSchemas.statistics,
    errors: ASKING,
  },
  ModelInfer: {
    id: 'oipInfer',
    summary:
      'Infer with a named model, or with auto or compose:a+b, which answer for each text of their BYTES input text. Tensors are JSON, or binary data behind it (Inference-Header-Content-Length); bodies plain, gzip or deflate.',
    body: oipSchemas.inferBody,
    answer: oipSchemas.inferAnswer,
    errors: [...WITH_BODY, ...ROUTING, ...RUNNING, ...COMPOSING, 'TENSOR_INVALID', 'NO_SUITABLE_EXPERT'],
  },
  RepositoryIndex: {
    id: 'oipIndex',
    summary: 'The models that the caller may use, and whether they are ready. The body may be left out.',
    body: oipSchemas.indexBody,
    answer: oipSchemas.index,
    errors: WITH_BODY,
  },
  RepositoryModelLoad: {
    id: 'oipLoad',
    summary: 'Refused: the registry says what hosts load. A host that is asked itself does it.',
    body: oipSchemas.changeBody,
    answer: oipSchemas.changed,
    errors: [...WITH_BODY, 'PERMISSION_DENIED', 'METHOD_UNSUPPORTED'],
  },
  RepositoryModelUnload: {
    id: 'oipUnload',
    summary: 'Refused, as load.',
    body: oipSchemas.changeBody,
    answer: oipSchemas.changed,
    errors: [...WITH_BODY, 'PERMISSION_DENIED', 'METHOD_UNSUPPORTED'],
  },
};

/** Paths of the Open Inference Protocol v2. */
export function oipPaths() {
  return Object.fromEntries(
    OIP_ROUTES.map((route) => [route.path.replaceAll(/:(\w+)/g, '{$1}'), operationOf(route)]),
  );
}

function operationOf({ method, path, rpc }: OipRoute): Record<string, object> {
  const described = CALLS[rpc];
  if (!described) throw new TypeError(`${rpc} is not described`);
  const { isOpen = false, errors = [], id, ...rest } = described;
  const parts = ['model', 'version'].filter((name) => path.includes(`:${name}`));
  const operation: Operation = {
    ...rest,
    // The same call under several paths: named after what the path says more.
    id: `${id}${path === '/v2/models/stats' ? 'OfAll' : path.includes(':version') ? 'OfVersion' : ''}`,
    errors,
    errorSchema: 'OipError',
    parameters: [
      ...parts.map((name) =>
        pathParameter(name, name === 'model' ? 'An expert, auto, or compose:a+b.' : 'Version of it.'),
      ),
      PARAMETERS.requestId,
      ...(isOpen ? [] : [PARAMETERS.timeout]),
      ...(rpc === 'ModelInfer' ? [PARAMETERS.conversation] : []),
    ],
  };
  if (method === 'POST') return post(operation);
  return isOpen ? open(get(operation)) : get(operation);
}
