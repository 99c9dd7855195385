import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = NonNullable<typeof globalThis.gc>;

/**
 * Gives the memory that a start has used back to the system. A launcher only waits from then on: nothing would ever press its
 * collector.
 */
export function giveBackMemory(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as Collect;
  collect({ type: 'major', flavor: 'last-resort', execution: 'sync' });
}
