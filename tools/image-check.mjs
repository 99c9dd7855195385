// What `helm test` runs in the image: asks each address until it answers with a success, for a minute at most.
//   node start.mjs check URL...
const LIMIT_MS = 60_000;
const EVERY_MS = 500;

/** Exit code: 0 when every address answered, 1 otherwise. */
export async function checkAddresses(urls) {
  if (urls.length === 0) {
    process.stderr.write('Name the addresses to ask: check URL...\n');
    return 2;
  }
  const signal = AbortSignal.timeout(LIMIT_MS);
  const results = await Promise.all(urls.map((url) => answers(url, signal)));
  return results.every(Boolean) ? 0 : 1;
}

async function answers(url, signal) {
  let last = 'no answer';
  while (!signal.aborted) {
    try {
      const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]) });
      const text = (await response.text()).slice(0, 200).trim();
      if (response.ok) {
        process.stdout.write(`ok   ${url}\n`);
        return true;
      }
      last = `${response.status} ${text}`;
    } catch (fault) {
      if (!signal.aborted) last = fault.cause?.message ?? fault.message;
    }
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
  process.stdout.write(`FAIL ${url}: ${last}\n`);
  return false;
}
