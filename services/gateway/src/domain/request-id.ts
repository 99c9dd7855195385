import { HTTP_HEADERS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';

/** Ids stand in metadata, events and logs: no text of a caller's own fits into one. */
const REQUEST_ID = /^[\w.:-]{1,128}$/;
/** What feedback may name: a request, or one of its texts as `<request id>/<index>`. */
export const ANSWERED_ID = /^[\w.:-]{1,128}(\/\d{1,3})?$/;

/** What an id may be, for messages. */
export const REQUEST_ID_RULE = 'must be 1 to 128 letters, digits or . _ : -';

/** Whether a caller's id of a new request has a form that is taken as it is. */
export function isRequestId(text: string): boolean {
  return REQUEST_ID.test(text);
}

/** Whether an id can be that of a request that was answered. */
export function isAnsweredId(text: string): boolean {
  return ANSWERED_ID.test(text);
}

/** The conversation that a caller names; undefined for none. @throws REQUEST_INVALID for one of another form than ids have */
export function conversationOf(text: string | readonly string[] | undefined): string | undefined {
  if (text === undefined || (typeof text === 'string' && isRequestId(text))) return text;
  const field = HTTP_HEADERS.conversation;
  throw new ThalamusError('REQUEST_INVALID', `The conversation in ${field} ${REQUEST_ID_RULE}.`, {
    violations: [{ field, description: REQUEST_ID_RULE }],
  });
}
