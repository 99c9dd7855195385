import { adminAnswers } from './admin-schemas.js';
import { get, GUARDED, PARAMETERS } from './openapi-parts.js';

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
    '/admin/v1/experts': get({
      id: 'listExperts',
      summary: 'The experts that the caller may use, with their versions and where each is loaded.',
      answer: adminAnswers.experts,
      errors: GUARDED,
      parameters,
    }),
  };
}
