import { HostConnections, type RegistryView, type ResidencyView } from '@thalamus/registry';
import { Admission } from './application/admission.js';
import { ChooseHost } from './application/choose-host.js';
import { InferOnHost } from './application/infer-on-host.js';
import type { OutcomeSink } from './application/record-outcome.js';
import { AskVersion } from './application/releases/ask-version.js';
import { LiveReleases } from './application/releases/live-releases.js';
import { MirrorRequests } from './application/releases/mirror-requests.js';
import { RecordComparison } from './application/releases/record-comparison.js';
import { ResolveExpert } from './application/resolve-expert.js';
import { WarmStable } from './application/warm-stable.js';
import type { GatewaySettings } from './config.js';

/** What giving requests a version stands on. */
export interface VersionParts {
  readonly view: RegistryView;
  readonly residency: ResidencyView;
  readonly sink: OutcomeSink;
}

/** Wiring of what gives requests their version and asks it, and compares versions while a release is live. */
export function wireVersions(settings: GatewaySettings, { view, residency, sink }: VersionParts) {
  const hosts = new HostConnections(residency);
  const inferOnHost = new InferOnHost(new ChooseHost(residency, view), hosts);
  const warmStable = new WarmStable(view, residency);
  const releases = new LiveReleases(view);
  const resolveExpert = new ResolveExpert(view, warmStable, releases);
  const admission = new Admission(view, settings.maxInFlight);
  const busyFrom = settings.mirrorBusyShare * settings.maxInFlight;
  const mirror = new MirrorRequests(
    {
      hosts: inferOnHost,
      releases,
      canAsk: (release, caller) => resolveExpert.canAsk(release, caller),
      comparisons: new RecordComparison(sink),
      isBusy: () => admission.inFlight >= busyFrom,
    },
    {
      atOnce: settings.mirrorAtOnce,
      queue: settings.mirrorQueue,
      perSecond: settings.mirrorPerSecond,
      timeoutMs: settings.mirrorTimeoutMs,
    },
  );
  const askVersion = new AskVersion(inferOnHost, mirror, settings.candidateTimeoutMs);
  /** What follows the views, and starts after them. */
  const followers = [warmStable, releases];
  return { hosts, inferOnHost, followers, releases, resolveExpert, admission, mirror, askVersion };
}
