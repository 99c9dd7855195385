import { afterAll, beforeAll, beforeEach } from 'vitest';
import { GatewayUnderTest } from './gateway-under-test.js';

/** One gateway for the tests of a file, handed over when it has started; its fakes are as new before each test. */
export function useGateway(
  handOver: (gateway: GatewayUnderTest) => void,
  environment: Readonly<Record<string, string>> = {},
): void {
  let gateway: GatewayUnderTest;
  beforeAll(async () => {
    gateway = await GatewayUnderTest.start(environment);
    handOver(gateway);
  });
  afterAll(() => gateway.stop());
  beforeEach(() => {
    gateway.router.reset();
    gateway.host.reset();
    gateway.composer.reset();
  });
}

/** The error of an answer, with its status. */
export async function errorOf(
  response: Response,
): Promise<{ readonly status: number } & Record<string, unknown>> {
  const body = (await response.json()) as { readonly error: Record<string, unknown> };
  return { status: response.status, ...body.error };
}
