import type { LaunchedMesh } from './mesh.js';

type Post = (path: string, body: unknown) => Promise<Response>;

/**
 * Sends a prompt over the HTTP form of the Open Inference Protocol, right and wrong, to the gateway (by `post`) and to a host; says
 * with which status each ended.
 */
export async function sendOverRest(
  prompt: string,
  mesh: Pick<LaunchedMesh, 'httpOf'>,
  post: Post,
): Promise<Record<string, number>> {
  const text = { name: 'text', datatype: 'BYTES', shape: [1], data: [prompt] };
  const host = `http://${mesh.httpOf('expert-host')}/v2/models/banking77`;
  const toGateway = (body: unknown) => post('/v2/models/auto/infer', body);
  const toHost = (body: unknown) =>
    fetch(`${host}/infer`, {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  const sent: Record<string, Promise<Response>> = {
    'REST gateway': toGateway({ inputs: [text] }),
    'REST gateway, unknown field': toGateway({ inputs: [{ ...text, [prompt]: prompt }] }),
    'REST gateway, wrong shape': toGateway({ inputs: [{ ...text, shape: [7] }] }),
    'REST gateway, not JSON': toGateway(`{"inputs": [{"data": ["${prompt}`),
    'REST host': toHost({ inputs: [text] }),
    'REST host, wrong type': toHost({ inputs: [{ ...text, datatype: 'FP32' }] }),
    'REST host, unknown parameter': toHost({ inputs: [text], parameters: { prompt } }),
    'REST host, no JSON': toHost(prompt),
    'REST host, wrong path': fetch(`${host}/${encodeURIComponent(prompt)}`),
  };
  const ends: Record<string, number> = {};
  for (const [what, asked] of Object.entries(sent)) {
    const response = await asked;
    await response.text();
    ends[what] = response.status;
  }
  return ends;
}
