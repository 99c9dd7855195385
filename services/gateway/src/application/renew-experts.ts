import { timestampMs } from '@bufbuild/protobuf/wkt';
import { toThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import { createLogger } from '@thalamus/telemetry';
import type { ExpertUses } from './record-outcome.js';

/** Of its time to live an expert has this share left, at most, when it is renewed. The updater writes no sooner. */
const DUE_SHARE = 0.75;
/** Between two tries for one expert: a sixteenth of its time to live, within these bounds. Milliseconds. */
const PAUSE_MS = { least: 100, most: 30_000 };

/** Tells the registry which experts that end unless they are used have been used: about once a quarter of their time to live. */
export class RenewExperts implements ExpertUses {
  /** When to try again at the earliest, Unix time in milliseconds, by expert. */
  private readonly pausing = new Map<string, number>();
  private readonly logger = createLogger('renewal');

  constructor(
    private readonly view: Pick<RegistryView, 'expert'>,
    private readonly renew: (expert: string) => Promise<unknown>,
    private readonly now: () => number = Date.now,
  ) {}

  /** An expert has answered. Never waits, never fails. */
  used(name: string): void {
    const expert = this.view.expert(name);
    if (!expert?.expiresAt || expert.timeToLiveS === 0n) {
      this.pausing.delete(name);
      return;
    }
    const now = this.now();
    const liveMs = Number(expert.timeToLiveS) * 1000;
    if (timestampMs(expert.expiresAt) - now > DUE_SHARE * liveMs) return;
    if ((this.pausing.get(name) ?? 0) > now) return;
    this.pausing.set(name, now + Math.min(PAUSE_MS.most, Math.max(PAUSE_MS.least, liveMs / 16)));
    this.renew(name).catch((fault: unknown) => {
      const { code, message } = toThalamusError(fault);
      this.logger.warn({ expert: name, code, reason: message }, 'an expert in use could not be renewed');
    });
  }
}
