import type { HostMemory } from '../../api/types.js';
import { memoryText, sharesOf } from './host-facts.js';

const NAMES = { shared: 'shared bases', own: 'experts' } as const;

/** Bytes that experts take, on a track as long as the limit. */
export function MemoryBar({ memory }: { readonly memory: HostMemory }) {
  const { limitBytes, ownBytes, sharedBytes } = memory;
  const used = ownBytes + sharedBytes;
  const text = `${memoryText(used)} of ${memoryText(limitBytes)}`;
  const shares = sharesOf(memory);
  return (
    <div>
      <div className="memory-line">
        <span className="memory-used">{text}</span>
        <span className="quiet">{memoryText(Math.max(0, limitBytes - used))} free</span>
      </div>
      <div
        className="memory-track"
        role="meter"
        aria-label="Memory that experts take"
        aria-valuemin={0}
        aria-valuemax={limitBytes}
        aria-valuenow={Math.min(used, limitBytes)}
        aria-valuetext={text}
      >
        {shares.map(({ kind, percent }) => (
          <div key={kind} className="memory-share" data-kind={kind} style={{ width: `${percent}%` }} />
        ))}
      </div>
      <div className="facts memory-key">
        {shares.map(({ kind, bytes }) => (
          <span key={kind}>
            <i className="memory-dot" data-kind={kind} aria-hidden />
            <span className="quiet">{NAMES[kind]}</span> {memoryText(bytes)}
          </span>
        ))}
      </div>
    </div>
  );
}
