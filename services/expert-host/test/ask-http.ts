/** A tensor in JSON. */
export interface Tensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data?: readonly unknown[];
  readonly parameters?: Readonly<Record<string, unknown>>;
}
/** What a request over HTTP was answered. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly json: Record<string, unknown> & { readonly outputs: readonly Tensor[]; readonly error?: string };
  /** Bytes behind the JSON. */
  readonly behind: Buffer;
}

/** Sends a request to a host. */
export async function askHttp(url: string, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`${url}${path}`, init);
  const body = Buffer.from(await response.arrayBuffer());
  const length = Number(response.headers.get('inference-header-content-length') ?? body.byteLength);
  const json = JSON.parse(body.subarray(0, length).toString() || 'null') as Answer['json'];
  return { status: response.status, headers: response.headers, json, behind: body.subarray(length) };
}

/** Posts JSON, or a text as it is. */
export const postHttp = (url: string, path: string, body: unknown) =>
  askHttp(url, path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) });

/** A body with bytes behind its JSON. */
export function withBytes(json: unknown, ...bytes: readonly Uint8Array[]) {
  const head = Buffer.from(JSON.stringify(json));
  const headers = { 'inference-header-content-length': String(head.byteLength) };
  return { body: Buffer.concat([head, ...bytes]), headers };
}

/** The input of a model of texts. */
export const text = (...data: readonly string[]) => ({
  name: 'text',
  datatype: 'BYTES',
  shape: [data.length],
  data,
});

/** The input of a model that takes the longer, the larger it is. */
export const side = (size: number) => ({ name: 'side', datatype: 'INT64', shape: [2], data: [size, size] });
