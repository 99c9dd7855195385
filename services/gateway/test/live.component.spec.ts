import { waitUntil } from '@thalamus/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminAnswers } from '../src/adapters/http/admin-schemas.js';
import { GatewayUnderTest, ROLE_KEYS } from './support/gateway-under-test.js';

let gateway: GatewayUnderTest;
let isStopped = false;
beforeAll(async () => {
  gateway = await GatewayUnderTest.start();
});
afterAll(async () => {
  if (!isStopped) await gateway.stop();
});

/** A reader of the live stream: its text so far, and whether it has ended, cleanly or not. */
async function watch() {
  const response = await gateway.fetch('/admin/v1/live', { key: ROLE_KEYS.viewer.minted.key });
  const seen = { text: '', end: '' };
  const read = async () => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) seen.text += decoder.decode(chunk as Uint8Array);
  };
  const reading = read().then(
    () => (seen.end = 'whole'),
    () => (seen.end = 'broken'),
  );
  return { response, seen, reading };
}

describe('the admin API for who watches', () => {
  it('says who the key belongs to', async () => {
    const { status, body } = await gateway.admin('GET', '/admin/v1/session', undefined, 'acmeOperator');
    expect([status, adminAnswers.session.parse(body)]).toEqual([
      200,
      { object: 'session', tenant: 'acme', role: 'operator', key: ROLE_KEYS.acmeOperator.minted.id },
    ]);
  });

  it('shows traffic live, and ends the stream when the gateway drains', async () => {
    const { response, seen, reading } = await watch();
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect((await gateway.post('/v1/classifications', { input: 'I lost my card' })).status).toBe(200);
    const snapshots = () =>
      seen.text
        .split('\n\n')
        .slice(0, -1)
        .map((event) => adminAnswers.snapshot.parse(JSON.parse(event.replace(/^data: /, ''))));
    const last = await waitUntil('the request is seen', () =>
      snapshots().find(({ totals }) => totals.requests === 1),
    );
    expect(last.wins).toEqual([{ expert: 'banking', count: 1 }]);
    isStopped = true;
    await gateway.stop();
    await reading;
    expect(seen.end).toBe('whole');
  });
});
