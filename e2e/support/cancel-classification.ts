import { randomUUID } from 'node:crypto';
import { request as httpRequest } from 'node:http';

/** Sends a request to a gateway and goes away before the answer; says whether there was one all the same. */
export function cancelClassification(http: string, input: string): Promise<'gone' | 'answered'> {
  return new Promise((resolve) => {
    const request = httpRequest(`${http}/v1/classifications`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-request-id': randomUUID() },
    });
    request.on('error', () => {
      resolve('gone');
    });
    request.on('response', () => {
      resolve('answered');
    });
    request.end(JSON.stringify({ input }), () => {
      setImmediate(() => request.destroy());
    });
    request.on('close', () => {
      resolve('gone');
    });
  });
}
