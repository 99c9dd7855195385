import type { Mesh } from '../support/mesh.js';

/** Posts as the administrator of a mesh. @throws Error for another status than the wanted one */
export function post(mesh: Mesh, path: string, body: unknown, wanted: number): Promise<Response> {
  return postTo(`${mesh.http}${path}`, body, wanted, { authorization: `Bearer ${mesh.key}` });
}

/** Posts without a key, as to a service behind the gateway. @throws Error for another status than the wanted one */
export async function postTo(
  url: string,
  body: unknown,
  wanted: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (response.status !== wanted) throw new Error(`${url} answered ${response.status}: ${text}`);
  return response;
}
