import { timestampDate, type Timestamp } from '@bufbuild/protobuf/wkt';
import { registryV1, type eventsV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { DescribedExpert } from '../../application/describe-experts.js';
import type { DescribedHost } from '../../application/describe-hosts.js';
import type { DescribedRouter } from '../../application/describe-routers.js';

/** An expert with its versions, and where each is loaded. */
export function expertJson({ expert, revision, versions }: DescribedExpert) {
  return {
    name: expert.name,
    task: expert.task,
    description: expert.description,
    stable: expert.stable,
    tenants: expert.tenants,
    revision: Number(revision),
    versions: versions.map(({ version, channels, residents }) => ({
      version: version.version,
      kind: registryV1.ExpertKind[version.kind].toLowerCase(),
      channels,
      parameterCount: Number(version.parameterCount),
      sizeBytes: Number(version.sizeBytes),
      licence: version.licence,
      ...pricesJson(version),
      evaluation: version.evaluation.map(({ dataset, split, metric, value, n }) => ({
        dataset,
        split,
        metric,
        value,
        n: Number(n),
      })),
      residents: residents.map(({ address, state, memoryBytes, errorCode }) => ({
        host: address,
        state,
        memoryBytes,
        errorCode,
      })),
    })),
  };
}

/** A host with what it keeps in memory. */
export function hostJson({ hostId, address, memory, residents, hidden }: DescribedHost) {
  return {
    id: hostId,
    address,
    memory: memory ? memoryJson(memory) : null,
    versions: residents.map((resident) => ({
      expert: resident.expert,
      version: resident.version,
      state: resident.state,
      memoryBytes: resident.memoryBytes,
      ownBytes: resident.ownBytes,
      isPinned: resident.isPinned,
      priority: resident.priority,
      lastUsedAt: resident.lastUsedAtMs === undefined ? null : new Date(resident.lastUsedAtMs).toISOString(),
      process: resident.process,
      waiting: resident.waiting,
      errorCode: resident.errorCode,
    })),
    hidden,
  };
}

function memoryJson(memory: eventsV1.HostMemory) {
  return {
    limitBytes: Number(memory.limitBytes),
    ownBytes: Number(memory.ownBytes),
    sharedBytes: Number(memory.sharedBytes),
    loadsWaiting: memory.loadsWaiting,
    runsWaiting: memory.runsWaiting,
    restarts: Number(memory.restarts),
    recycles: Number(memory.recycles),
    evictions: Number(memory.evictions),
    processes: memory.processes.map(({ name, pid, openBytes, residentBytes }) => ({
      name,
      pid,
      openBytes: Number(openBytes),
      residentBytes: Number(residentBytes),
    })),
    spareBytes: Number(memory.spareBytes),
    startedAt: isoTime(memory.startedAt),
  };
}

/** A router model. */
export function routerJson({ model, experts, hidden }: DescribedRouter) {
  const { name, version, task, active, activation } = model;
  return { name, version, task, active, experts, hidden, activation: activationJson(activation) };
}

/** How it came to decide; null where it never did, or an earlier release did not write it down. */
function activationJson(activation: registryV1.RouterActivation | undefined) {
  if (!activation) return null;
  const said = (text: string) => (text === '' ? null : text);
  return {
    at: activation.at ? timestampDate(activation.at).toISOString() : null,
    previous: said(activation.previous),
    rolledBack: said(activation.rolledBack),
    comparison: said(activation.comparisonDigest),
    reason: said(activation.reason),
  };
}

/** Prices of a remote version; what costs nothing has none. */
function pricesJson({ priceInputUsdPerMtok, priceOutputUsdPerMtok }: registryV1.ExpertVersion) {
  if (priceInputUsdPerMtok === 0 && priceOutputUsdPerMtok === 0) return {};
  return {
    prices: { inputUsdPerMtok: priceInputUsdPerMtok, outputUsdPerMtok: priceOutputUsdPerMtok },
  };
}

/** A stored policy. */
export function policyJson({ value, revision, updatedAt, updatedBy }: registryV1.Resource) {
  if (value.case !== 'policy') throw new ThalamusError('INTERNAL', 'The resource is no policy.');
  const policy = value.value;
  return {
    object: 'policy',
    tenant: policy.tenant,
    allowedExperts: policy.allowedExperts,
    allowedLicences: policy.allowedLicences,
    minTrust: policy.minTrust,
    defaultWeights: policy.defaultWeights,
    maxParameters: Number(policy.maxParameters),
    requestsPerSecond: policy.requestsPerSecond,
    maxInFlight: policy.maxInFlight,
    fallbackExpert: policy.fallbackExpert,
    risk: policy.risk ? { alpha: policy.risk.alpha, delta: policy.risk.delta } : null,
    onlineCorrection: correctionText(policy.onlineCorrection),
    correctionsResetAt: isoTime(policy.correctionsResetAt),
    exploration: explorationJson(policy.exploration),
    revision: Number(revision),
    updatedAt: isoTime(updatedAt),
    updatedBy,
  };
}

function correctionText(said: registryV1.OnlineCorrection): string {
  const is = said === registryV1.OnlineCorrection.UNSPECIFIED ? registryV1.OnlineCorrection.ON : said;
  return registryV1.OnlineCorrection[is].toLowerCase();
}

function explorationJson(exploration: registryV1.Exploration | undefined) {
  if (!exploration) return null;
  const { epsilon, pool, within } = exploration;
  return { epsilon, pool, within };
}

/** A key without its hash. */
export function keyJson({ id, tenant, role, description, createdAt, revokedAt }: registryV1.ApiKey) {
  return {
    object: 'key',
    id,
    tenant,
    role: registryV1.Role[role].toLowerCase(),
    description,
    createdAt: isoTime(createdAt),
    revokedAt: isoTime(revokedAt),
  };
}

/** A time in ISO 8601; null where there is none. */
export function isoTime(time: Timestamp | undefined): string | null {
  return time ? timestampDate(time).toISOString() : null;
}
