import { adminAnswers } from './admin-schemas.js';
import { channelBody, keyBody, policyBody, remoteExpertBody } from './admin-bodies.js';
import {
  CALLING,
  get,
  GUARDED,
  PARAMETERS,
  pathParameter,
  post,
  put,
  queryParameter,
  remove,
  WITH_BODY,
} from './openapi-parts.js';
import { releasePaths } from './openapi-releases.js';

const READING = [...GUARDED, 'PERMISSION_DENIED'] as const;
/** What any change that the updater makes can meet. */
const WRITING = [
  ...READING,
  ...CALLING,
  'REQUEST_INVALID',
  'NOT_LEADER',
  'REGISTRY_NOT_READY',
  'REVISION_CONFLICT',
] as const;
const WRITING_BODY = [...WRITING, ...WITH_BODY] as const;

/** Paths of the admin API. */
export function adminPaths() {
  const parameters = [PARAMETERS.requestId];
  return {
    '/admin/v1/session': get({
      id: 'getSession',
      summary: 'Who the key belongs to and what it may do.',
      answer: adminAnswers.session,
      errors: GUARDED,
      parameters,
    }),
    '/admin/v1/live': get({
      id: 'watchTraffic',
      summary: 'The traffic of the whole mesh, one snapshot a second.',
      answer: adminAnswers.snapshot,
      events: { description: 'Each event is a snapshot in JSON.', only: true },
      errors: GUARDED,
      parameters,
    }),
    '/admin/v1/hosts': get({
      id: 'listHosts',
      summary: 'The expert hosts that are alive, and what each keeps in memory.',
      answer: adminAnswers.hosts,
      errors: GUARDED,
      parameters,
    }),
    ...routerPaths(),
    ...compositionPaths(),
    ...expertPaths(),
    ...releasePaths(),
    ...policyPaths(),
    ...keyPaths(),
  };
}

function routerPaths() {
  const parameters = [PARAMETERS.requestId];
  return {
    '/admin/v1/routers': get({
      id: 'listRouters',
      summary: 'The router models, and which of them decides for its task.',
      answer: adminAnswers.routers,
      errors: GUARDED,
      parameters,
    }),
    '/admin/v1/routers/{name}/versions/{version}/evaluation': get({
      id: 'getRouterEvaluation',
      summary: 'How well a router model did on measured prompts: figures and places, no text.',
      answer: adminAnswers.evaluation,
      errors: [...GUARDED, ...CALLING, 'ROUTER_MODEL_NOT_FOUND', 'ARTIFACT_CORRUPT', 'BUNDLE_INVALID'],
      parameters: [
        pathParameter('name', 'Name of the router model.'),
        pathParameter('version', 'Version of the router model.'),
        ...parameters,
      ],
    }),
  };
}

function compositionPaths() {
  const parameters = [PARAMETERS.requestId];
  return {
    '/admin/v1/compositions': get({
      id: 'listCompositions',
      summary: 'The composed experts that the caller may use, with their parents and what each keeps.',
      answer: adminAnswers.compositions,
      errors: GUARDED,
      parameters,
    }),
    '/admin/v1/compositions/{name}/versions/{version}': get({
      id: 'getComposition',
      summary: 'A composed version: where it comes from, and what was measured when it was made.',
      answer: adminAnswers.composition,
      errors: [...GUARDED, ...CALLING, 'RESOURCE_NOT_FOUND', 'ARTIFACT_CORRUPT', 'BUNDLE_INVALID'],
      parameters: [
        pathParameter('name', 'Name of the composed expert.'),
        pathParameter('version', 'Its version.'),
        ...parameters,
      ],
    }),
  };
}

function expertPaths() {
  const parameters = [PARAMETERS.requestId];
  const name = pathParameter('name', 'Name of the expert.');
  return {
    '/admin/v1/experts': {
      ...get({
        id: 'listExperts',
        summary: 'The experts that the caller may use, with their versions and where each is loaded.',
        answer: adminAnswers.experts,
        errors: GUARDED,
        parameters,
      }),
      ...post({
        id: 'registerExpert',
        summary: 'Register a version of a remote, OpenAI-compatible expert. The first one becomes stable.',
        body: remoteExpertBody,
        answer: adminAnswers.registered,
        status: '201',
        errors: [...WRITING_BODY, 'CONFIG_INVALID', 'BUNDLE_INVALID', 'ARTIFACT_STORE_FULL'],
        parameters,
      }),
    },
    '/admin/v1/experts/{name}': remove({
      id: 'removeExpert',
      summary: 'Remove an expert with all its versions. Refused while another one stands on it.',
      answer: adminAnswers.removed,
      errors: [...WRITING, 'EXPERT_NOT_FOUND'],
      parameters: [
        name,
        queryParameter(
          'expectedRevision',
          { type: 'integer', minimum: 0 },
          'Revision that it is expected to have; left out: any.',
        ),
        ...parameters,
      ],
    }),
    '/admin/v1/experts/{name}/versions/{version}/training': get({
      id: 'getTraining',
      summary: 'The losses of a version while it was trained.',
      answer: adminAnswers.training,
      errors: [...GUARDED, ...CALLING, 'EXPERT_NOT_FOUND', 'ARTIFACT_CORRUPT', 'BUNDLE_INVALID'],
      parameters: [name, pathParameter('version', 'Version of the expert.'), ...parameters],
    }),
    '/admin/v1/experts/{name}/channels': post({
      id: 'setChannel',
      summary:
        'Point a channel at a version. A new stable version takes all traffic at once and needs a reason.',
      body: channelBody,
      answer: adminAnswers.channel,
      errors: [...WRITING_BODY, 'EXPERT_NOT_FOUND'],
      parameters: [name, ...parameters],
    }),
  };
}

function policyPaths() {
  const parameters = [PARAMETERS.requestId];
  const tenant = pathParameter('tenant', 'Tenant; the policy of default holds for tenants without one.');
  return {
    '/admin/v1/policies': get({
      id: 'listPolicies',
      summary: 'The policies of the tenants that the caller manages.',
      answer: adminAnswers.policies,
      errors: READING,
      parameters,
    }),
    '/admin/v1/policies/{tenant}': {
      ...get({
        id: 'getPolicy',
        summary: 'The policy of a tenant.',
        answer: adminAnswers.policy,
        errors: [...READING, 'RESOURCE_NOT_FOUND'],
        parameters: [tenant, ...parameters],
      }),
      ...put({
        id: 'putPolicy',
        summary: 'Replace the policy of a tenant. Needs a key of the tenant default.',
        body: policyBody,
        answer: adminAnswers.policy,
        errors: WRITING_BODY,
        parameters: [tenant, ...parameters],
      }),
    },
  };
}

function keyPaths() {
  const parameters = [PARAMETERS.requestId];
  return {
    '/admin/v1/keys': {
      ...get({
        id: 'listKeys',
        summary: 'The keys of the tenants that the caller manages, without their secrets.',
        answer: adminAnswers.keys,
        errors: READING,
        parameters,
      }),
      ...post({
        id: 'createKey',
        summary: 'Make a key. Its secret is in this answer and nowhere else.',
        body: keyBody,
        answer: adminAnswers.createdKey,
        status: '201',
        errors: WRITING_BODY,
        parameters,
      }),
    },
    '/admin/v1/keys/{id}': remove({
      id: 'revokeKey',
      summary: 'Revoke a key at once.',
      answer: adminAnswers.key,
      errors: [...WRITING, 'RESOURCE_NOT_FOUND'],
      parameters: [pathParameter('id', 'Id of the key.'), ...parameters],
    }),
  };
}
