// The upstream of the bench: an OpenAI-compatible server that answers at once, always the same. Its CPU is nobody's.
import { createServer } from 'node:http';
import { EVENTS, USAGE_EVENT, WHOLE } from './answer.mjs';

const server = createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const body = Buffer.concat(parts).toString();
    let asked;
    try {
      asked = JSON.parse(body);
    } catch {
      asked = {};
    }
    if (!request.url.endsWith('/chat/completions') || !Array.isArray(asked.messages)) {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":{"message":"unknown"}}');
    } else if (asked.stream === true) {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
      // Every event is a write of its own, as from a model that makes token after token.
      for (const event of EVENTS) response.write(event);
      if (asked.stream_options?.include_usage === true) response.write(USAGE_EVENT);
      response.end('data: [DONE]\n\n');
    } else {
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(WHOLE),
      });
      response.end(WHOLE);
    }
  });
});
server.keepAliveTimeout = 120_000;
server.listen(Number(process.argv[2]), '127.0.0.1', () => process.send({ kind: 'ready' }));
process.on('disconnect', () => process.exit(0));
