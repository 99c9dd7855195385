/**
 * Works on what a source gives, at most `limit` items at once, and yields the results in the order of the source; the source is
 * not read further while so many are at work or wait to be taken. `work` must not reject. Ends with the source.
 */
export async function* inOrder<T, R>(
  source: AsyncIterable<T>,
  limit: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const iterator = source[Symbol.asyncIterator]();
  const running: Promise<R>[] = [];
  let reading: Promise<IteratorResult<T>> | undefined;
  let hasEnded = false;
  try {
    for (;;) {
      if (!hasEnded && running.length < limit) reading ??= iterator.next();
      const head = running[0];
      if (!head && !reading) return;
      const first = await Promise.race([
        ...(reading ? [reading.then((item) => ({ item }))] : []),
        ...(head ? [head.then((result) => ({ result }))] : []),
      ]);
      if ('item' in first) {
        reading = undefined;
        if (first.item.done) hasEnded = true;
        else running.push(work(first.item.value));
      } else {
        void running.shift();
        yield first.result;
      }
    }
  } finally {
    // Whoever took the results has gone: nobody waits for a source that may never end.
    void iterator.return?.();
  }
}
