import { adminAnswers } from './admin-schemas.js';
import {
  CALLING,
  get,
  GUARDED,
  PARAMETERS,
  pathParameter,
  post,
  queryParameter,
  WITH_BODY,
} from './openapi-parts.js';
import { reasonBody, repairBody } from './release-bodies.js';

const READING = [...GUARDED, ...CALLING, 'REGISTRY_NOT_READY'] as const;
const MOVING = [
  ...READING,
  ...WITH_BODY,
  'PERMISSION_DENIED',
  'RESOURCE_NOT_FOUND',
  'NOT_LEADER',
  'RELEASE_CONFLICT',
  'REVISION_CONFLICT',
] as const;

const limit = (most: number, usual: number) =>
  queryParameter(
    'limit',
    { type: 'integer', minimum: 1, maximum: most, default: usual },
    'How many at the most.',
  );

/** Paths of the admin API about releases. */
export function releasePaths() {
  const id = pathParameter('id', 'Id of the release.');
  const parameters = [id, PARAMETERS.requestId];
  return {
    '/admin/v1/releases': get({
      id: 'listReleases',
      summary: 'The releases of the experts that the caller may use.',
      answer: adminAnswers.releases,
      errors: [...READING, 'REQUEST_INVALID'],
      parameters: [
        queryParameter('expert', { type: 'string' }, 'Of this expert alone.'),
        limit(100, 20),
        queryParameter('after', { type: 'string' }, 'nextPageToken of the page before.'),
        PARAMETERS.requestId,
      ],
    }),
    '/admin/v1/releases/{id}': get({
      id: 'getRelease',
      summary: 'A release: where it stands, how it came there, and what this gateway goes by.',
      answer: adminAnswers.release,
      errors: [...READING, 'RESOURCE_NOT_FOUND'],
      parameters,
    }),
    '/admin/v1/releases/{id}/flips': get({
      id: 'listReleaseFlips',
      summary: 'The items that flipped when the versions were compared offline: ids and labels, no text.',
      answer: adminAnswers.flips,
      errors: [...READING, 'REQUEST_INVALID', 'RESOURCE_NOT_FOUND', 'ARTIFACT_NOT_FOUND', 'ARTIFACT_CORRUPT'],
      parameters: [id, limit(10_000, 100), PARAMETERS.requestId],
    }),
    '/admin/v1/releases/{id}/readings': get({
      id: 'listReleaseReadings',
      summary:
        'What the live tests of a release said on the way, thinned out as trials grow; empty before it had traffic.',
      answer: adminAnswers.readings,
      errors: [...READING, 'RESOURCE_NOT_FOUND', 'ARTIFACT_NOT_FOUND', 'ARTIFACT_CORRUPT'],
      parameters,
    }),
    '/admin/v1/releases/{id}/verdict': get({
      id: 'getReleaseVerdict',
      summary: 'What a release says of its candidate, for pipelines that poll: every field is always there.',
      answer: adminAnswers.verdict,
      errors: [...READING, 'RESOURCE_NOT_FOUND'],
      parameters,
    }),
    '/admin/v1/experts/{name}/versions/{version}/verdict': get({
      id: 'getVersionVerdict',
      summary: 'The same of the newest release of a version.',
      answer: adminAnswers.verdict,
      errors: [...READING, 'RESOURCE_NOT_FOUND'],
      parameters: [
        pathParameter('name', 'Name of the expert.'),
        pathParameter('version', 'The candidate.'),
        PARAMETERS.requestId,
      ],
    }),
    '/admin/v1/releases/{id}/advance': moving(
      'advanceRelease',
      'Move a live release one state or step on, whatever it waits for.',
    ),
    '/admin/v1/releases/{id}/approve': moving(
      'approveRelease',
      'Let rules of the gate that are inconclusive pass, with as many keys as they ask for; each counts once.',
    ),
    '/admin/v1/releases/{id}/promote': moving(
      'promoteRelease',
      'Make the candidate stable, whatever the release waits for.',
    ),
    '/admin/v1/releases/{id}/repair': repairing(parameters),
    '/admin/v1/releases/{id}/rollback': moving(
      'rollBackRelease',
      'Take the candidate back: the next request already goes to the version before.',
    ),
  };
}

function repairing(parameters: readonly unknown[]) {
  return post({
    id: 'repairRelease',
    summary:
      'Have the candidate repaired by a job before callers get it. When the job has ended well, what it made is the candidate.',
    body: repairBody,
    answer: adminAnswers.release,
    errors: [...MOVING, 'EXPERT_NOT_FOUND'],
    parameters,
  });
}

/** What a person does with a release, with a reason. */
function moving(id: string, summary: string) {
  return post({
    ...{ id, summary, body: reasonBody, answer: adminAnswers.release, errors: MOVING },
    parameters: [pathParameter('id', 'Id of the release.'), PARAMETERS.requestId],
  });
}
