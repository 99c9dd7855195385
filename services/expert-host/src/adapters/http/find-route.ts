import { OIP_ROUTES, type OipRoute } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';

/** A route with what a path has in the places that callers choose. */
export interface FoundRoute {
  readonly route: OipRoute;
  readonly model: string;
  readonly version: string;
}

const PATTERNS = OIP_ROUTES.map((route) => ({ route, parts: route.path.split('/') }));

/**
 * The route of a path. Fixed parts are tried before parameters, as the table has them.
 * @throws RESOURCE_NOT_FOUND; METHOD_NOT_ALLOWED with the methods of the path in its metadata
 */
export function findRoute(method: string, url: string): FoundRoute {
  const path = url.split('?')[0] ?? '';
  const parts = path.split('/');
  const fitting = PATTERNS.flatMap(({ route, parts: pattern }) => {
    const values = matched(pattern, parts);
    return values ? [{ route, model: values[':model'] ?? '', version: values[':version'] ?? '' }] : [];
  });
  const asked = method === 'HEAD' ? 'GET' : method;
  const found = fitting.find(({ route }) => route.method === asked);
  if (found) return found;
  const allow = [...new Set(fitting.map(({ route }) => route.method))].sort().join(', ');
  if (allow === '')
    throw new ThalamusError(
      'RESOURCE_NOT_FOUND',
      'Nothing answers this path; the Open Inference Protocol v2 begins at GET /v2.',
    );
  throw new ThalamusError('METHOD_NOT_ALLOWED', `This path is not answered for this method; use ${allow}.`, {
    metadata: { allow },
  });
}

/** The parts that stand where the pattern has parameters; undefined when the path is not of this pattern. */
function matched(pattern: readonly string[], parts: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== parts.length) return undefined;
  const values: Record<string, string> = {};
  for (const [index, name] of pattern.entries()) {
    const part = parts[index] ?? '';
    if (!name.startsWith(':')) {
      if (name !== part) return undefined;
    } else if (part === '') return undefined;
    else values[name] = decoded(part);
  }
  return values;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new ThalamusError('REQUEST_INVALID', 'The path is not percent-encoded as it should be.');
  }
}
