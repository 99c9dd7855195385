import { ThalamusError } from '@thalamus/errors';
import { promisify } from 'node:util';
import { deflate, gunzip, gzip, inflate } from 'node:zlib';

/** Codings of bodies, as Triton has them: `deflate` is zlib's form. */
const CODINGS = {
  gzip: { encode: promisify(gzip), decode: promisify(gunzip) },
  deflate: { encode: promisify(deflate), decode: promisify(inflate) },
} as const;

type Coding = keyof typeof CODINGS;

/** Smaller bodies are sent as they are: the coding would cost more than it saves. */
const LEAST_BYTES = 1_024;

/**
 * The body that a coding stands for. @param mostBytes bound of the decoded body, kept while it is decoded
 * @throws MEDIA_TYPE_UNSUPPORTED for another coding, REQUEST_TOO_LARGE, REQUEST_INVALID when it does not decode
 */
export async function decodeBody(
  body: Uint8Array,
  coding: string | undefined,
  mostBytes: number,
): Promise<Uint8Array> {
  const name = coding?.trim().toLowerCase();
  if (name === undefined || name === '' || name === 'identity') return body;
  if (!isCoding(name))
    throw new ThalamusError(
      'MEDIA_TYPE_UNSUPPORTED',
      'The Content-Encoding of the body is not known here; use gzip, deflate or none.',
    );
  try {
    return await CODINGS[name].decode(body, { maxOutputLength: mostBytes });
  } catch (cause) {
    if ((cause as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE')
      throw new ThalamusError(
        'REQUEST_TOO_LARGE',
        `The body has more than ${mostBytes} bytes when it is decoded; send less.`,
      );
    throw new ThalamusError(
      'REQUEST_INVALID',
      `The body is not ${name}, which its Content-Encoding says; send it whole, or without coding.`,
    );
  }
}

/** The body in the first coding of `Accept-Encoding` that is known here, gzip before deflate. */
export async function encodeBody(
  body: Uint8Array,
  accept: string | undefined,
): Promise<{ readonly body: Uint8Array; readonly coding: string | undefined }> {
  const accepted = new Set(
    (accept ?? '')
      .toLowerCase()
      .split(',')
      .filter((entry) => !/;\s*q=0(\.0*)?\s*$/.test(entry))
      .map((entry) => entry.split(';')[0]?.trim()),
  );
  const coding = (Object.keys(CODINGS) as Coding[]).find((name) => accepted.has(name));
  if (coding === undefined || body.byteLength < LEAST_BYTES) return { body, coding: undefined };
  return { body: await CODINGS[coding].encode(body), coding };
}

function isCoding(name: string): name is Coding {
  return Object.hasOwn(CODINGS, name);
}
