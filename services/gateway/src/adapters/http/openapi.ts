import { z } from 'zod';
import { routeAccess } from '../../domain/access.js';
import { answers } from './answer-schemas.js';
import { oipSchemas } from './oip-schemas.js';
import { adminPaths } from './openapi-admin.js';
import { oipPaths } from './openapi-oip.js';
import { get, jsonSchema, open } from './openapi-parts.js';
import { askingPaths, chatPaths, listingPaths } from './openapi-paths.js';

/** The OpenAPI 3.1 document, made of the schemas that check the bodies. */
export function openApiDocument() {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Thalamus',
      version: '0.1.0',
      description: [
        'Sends each prompt to the model that will do best at it under the caller’s constraints.',
        'Unknown paths answer 404 `RESOURCE_NOT_FOUND`, other methods 405 `METHOD_NOT_ALLOWED` with `Allow`,',
        'headers that are too large 431 `HEADERS_TOO_LARGE`. Unknown fields are errors. `/console/` serves the console.',
      ].join(' '),
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }],
    paths: withRoles({
      ...chatPaths(),
      ...askingPaths(),
      ...listingPaths(),
      ...oipPaths(),
      ...adminPaths(),
      '/openapi.json': open(
        get({ id: 'openApi', summary: 'This document.', answer: z.looseObject({}), errors: [] }),
      ),
      '/healthz': open(
        get({ id: 'health', summary: 'Whether the process is alive.', answer: answers.health, errors: [] }),
      ),
    }),
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', description: 'API key, thk_...' } },
      schemas: {
        Error: jsonSchema(answers.error, 'output'),
        OipError: jsonSchema(oipSchemas.error, 'output'),
      },
    },
  };
}

/** Each operation with the role that it needs. */
function withRoles(paths: Readonly<Record<string, Readonly<Record<string, object>>>>) {
  return Object.fromEntries(
    Object.entries(paths).map(([path, item]) => [
      path,
      Object.fromEntries(
        Object.entries(item).map(([method, operation]) => {
          const access = routeAccess(method.toUpperCase(), path.replaceAll(/\{(\w+)\}/g, ':$1'));
          return [method, access === 'open' ? operation : { ...operation, 'x-thalamus-role': access }];
        }),
      ),
    ]),
  );
}
