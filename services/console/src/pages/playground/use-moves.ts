import { useLayoutEffect, useRef } from 'react';

const MOVE_MS = 260;

/**
 * Lets the children of an element glide to their new places when their order changes. Children are told apart by
 * `data-key`. Does nothing for those who want less motion.
 */
export function useMoves<E extends HTMLElement>(order: string) {
  const parent = useRef<E>(null);
  const tops = useRef(new Map<string, number>());
  useLayoutEffect(() => {
    const still = window.matchMedia('(prefers-reduced-motion: reduce)').matches;
    const next = new Map<string, number>();
    for (const child of parent.current?.children ?? []) {
      if (!(child instanceof HTMLElement)) continue;
      const key = child.dataset['key'] ?? '';
      const top = child.offsetTop;
      next.set(key, top);
      const moved = (tops.current.get(key) ?? top) - top;
      if (moved !== 0 && !still)
        child.animate([{ transform: `translateY(${moved}px)` }, { transform: 'none' }], {
          duration: MOVE_MS,
          easing: 'cubic-bezier(0.3, 0, 0.2, 1)',
        });
    }
    tops.current = next;
  }, [order]);
  return parent;
}
