import { oipErrorJson } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';

/** Answers what is no readable HTTP in the same form as every other failure; then closes. */
export function answerUnreadable(fault: Error & { readonly code?: string }, socket: Duplex): void {
  // The peer has gone, or an answer is under way already: another one would be read as part of it.
  if (fault.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const error = errorOf(fault.code);
  const body = JSON.stringify(oipErrorJson(error));
  const { http } = error.spec;
  socket.end(
    `HTTP/1.1 ${http} ${STATUS_CODES[http] ?? ''}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

function errorOf(code: string | undefined): ThalamusError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new ThalamusError(
        'HEADERS_TOO_LARGE',
        'The headers are larger than this server takes; send fewer.',
      );
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ThalamusError(
        'DEADLINE_EXCEEDED',
        'The request did not arrive in time; send it faster, or less of it.',
      );
    default:
      return new ThalamusError('REQUEST_INVALID', 'The request is not readable as HTTP/1.1.');
  }
}
