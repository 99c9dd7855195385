import { ThalamusError } from '@thalamus/errors';
import type { Socket } from 'node:net';
import { STATUS_CODES } from 'node:http';
import { errorJson } from './http-error.filter.js';

/** Answers what is no readable HTTP, before any route is known, in the same form as every other failure; then closes. */
export function answerUnreadable(fault: Error & { readonly code?: string }, socket: Socket): void {
  // The peer has gone, or an answer is under way already: another one would be read as part of it.
  if (fault.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const error =
    fault.code === 'HPE_HEADER_OVERFLOW'
      ? new ThalamusError('HEADERS_TOO_LARGE', 'The headers are larger than this server takes; send fewer.')
      : new ThalamusError('REQUEST_INVALID', 'The request is not readable as HTTP/1.1.');
  const body = JSON.stringify(errorJson(error, undefined));
  const status = error.spec.http;
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
