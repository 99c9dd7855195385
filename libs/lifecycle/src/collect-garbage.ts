/** Work that made the garbage, such as a start, has ended by then, and whoever waited for it has been answered. */
const DELAY_MS = 2_000;

let timer: NodeJS.Timeout | undefined;

/**
 * Gives memory that much reading has left behind, as a start or the loading of a model does, back to the system: soon, once,
 * however often it is asked for. A collector that is not pressed would keep it for hours. Does nothing unless Node runs with
 * `--expose-gc`.
 */
export function collectGarbageSoon(delayMs = DELAY_MS): void {
  const collect = globalThis.gc;
  if (!collect || timer) return;
  timer = setTimeout(() => {
    timer = undefined;
    collect({ type: 'major', flavor: 'last-resort', execution: 'sync' });
  }, delayMs);
  timer.unref();
}
