import { createServer } from 'node:net';

/** Free ports of the loopback below those of outgoing connections. */
export async function freePorts(count) {
  const found = new Set();
  while (found.size < count) {
    const port = 12_000 + Math.floor(Math.random() * 8_000);
    const server = createServer();
    const isFree = await new Promise((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (isFree) {
      await new Promise((resolve) => server.close(resolve));
      found.add(port);
    }
  }
  return [...found];
}
