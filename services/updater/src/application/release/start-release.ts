import { create } from '@bufbuild/protobuf';
import { settleContract, type ContractDifference } from '@thalamus/compatibility';
import { registryV1, releaseV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { randomBytes } from 'node:crypto';
import { needGateFits, withLimitsOf } from '../../domain/release/gate-fit.js';
import { stopOf } from '../../domain/release/gate-standings.js';
import { planOf } from '../../domain/release/release-plan.js';
import {
  GATE,
  moved,
  stateName,
  type ReleaseRecord,
  type StepReason,
} from '../../domain/release/release-states.js';
import type { Actor } from '../registry-writer.js';
import type { ComparePredictions, KeptComparison } from './compare-predictions.js';
import type { CheckContract } from './check-contract.js';
import type { GivenGate, ReleaseGates } from './release-gates.js';
import { refuseWhileLive, type Releases } from './releases.js';
import type { ProbeFiles } from './probe-files.js';
import { beginGate, judgedByGate, needContractRules, type FirstEvidence } from './start-gate.js';

const { ReleaseState } = releaseV1;

/** What a start rests on. */
interface Checked {
  readonly plan: releaseV1.ReleasePlan;
  readonly fromVersion: string;
  readonly override: string;
  readonly comparison: releaseV1.CompareResponse | undefined;
  readonly evidence: readonly string[];
  readonly gate: releaseV1.ReleaseGate | undefined;
  readonly probes: Pick<releaseV1.ReleaseProbes, 'digest' | 'items'> | undefined;
  /** Why the release goes no further by itself; empty when it does. */
  readonly stopped: string;
}

/** What looks at a candidate before its release begins. */
export interface StartChecks {
  readonly compare: ComparePredictions;
  readonly contract: CheckContract;
  readonly gates: ReleaseGates;
  readonly probes: Pick<ProbeFiles, 'given'>;
}

/** Begins releases: checks the candidate against the version before, compares them offline where files are given. */
export class StartRelease {
  constructor(
    private readonly releases: Releases,
    private readonly checks: StartChecks,
    private readonly now: () => number = Date.now,
  ) {}

  /**
   * A dry run writes nothing and answers with the release as it would be.
   * @throws REQUEST_INVALID, EXPERT_NOT_FOUND, RELEASE_CONFLICT, NOT_LEADER, and what comparing throws
   */
  async run(request: releaseV1.StartRequest, actor: Actor): Promise<ReleaseRecord> {
    this.releases.requireLeader();
    const given = this.checks.gates.given(request.gate);
    const limited = given ? withLimitsOf(given.document, request) : request;
    const plan = planOf(limited, this.releases.view.expert(request.expert)?.task);
    const fromVersion = this.stableOf(request);
    refuseWhileLive(this.releases.view, request.expert, 'The expert');
    const checked = await this.checked(request, given, plan, fromVersion);
    const id = `${request.expert}-${request.toVersion}-${randomBytes(4).toString('hex')}`;
    const make = () => {
      if (this.stableOf(request) !== fromVersion)
        throw new ThalamusError(
          'RELEASE_CONFLICT',
          `The stable version of ${request.expert} changed meanwhile; start again.`,
        );
      return this.begun(id, request, checked, actor);
    };
    return request.dryRun ? make() : this.releases.begin(actor, make);
  }

  /** Looks at everything that is known before the release begins. */
  private async checked(
    request: releaseV1.StartRequest,
    given: GivenGate | undefined,
    plan: releaseV1.ReleasePlan,
    fromVersion: string,
  ): Promise<Checked> {
    const override = request.overrideReason.trim();
    const versions = { expert: request.expert, fromVersion, toVersion: request.toVersion };
    const probes = await this.checks.probes.given(request.probesDigest, versions, plan);
    if (given) this.needFit(given, request, { plan, fromVersion, probes: probes?.items ?? 0 });
    const differences = await this.checks.contract.run(request.expert, fromVersion, request.toVersion);
    if (!given?.document.rules.some(({ measure }) => measure === 'breakingDifferences'))
      needContract(request, fromVersion, differences);
    const compared = await this.compared(request, plan);
    const isCompared = compared !== undefined || probes !== undefined;
    if (!isCompared && plan.mirrorShare === 0 && override === '') throw nothingKnown();
    const known = { plan, fromVersion, override, probes, evidence: compared?.evidence ?? [] };
    if (given)
      return { ...known, ...(await this.gated(request, given, { differences, override, compared })) };
    const comparison = compared?.comparison;
    const stopped = stopOf(comparison ? { comparison } : {}, override !== '');
    return { ...known, comparison, gate: undefined, stopped };
  }

  /** What the gate says before the release begins. */
  private async gated(
    request: releaseV1.StartRequest,
    given: GivenGate,
    known: Omit<FirstEvidence, 'compared'> & { readonly compared: KeptComparison | undefined },
  ): Promise<Pick<Checked, 'comparison' | 'gate' | 'stopped'>> {
    const { gate, stopped } = beginGate(given, { ...known, compared: known.compared?.whole });
    if (!request.dryRun) {
      needContractRules(gate);
      await this.checks.gates.keep(request.gate);
    }
    const comparison = known.compared && judgedByGate(known.compared.comparison, gate);
    return { comparison, gate, stopped: stopped(comparison) };
  }

  private stableOf({ expert, toVersion }: releaseV1.StartRequest): string {
    const { view } = this.releases;
    const known = view.expert(expert);
    if (!known) throw new ThalamusError('EXPERT_NOT_FOUND', `No expert ${expert} is registered.`);
    if (!view.version(expert, toVersion))
      throw new ThalamusError(
        'EXPERT_NOT_FOUND',
        `${expert} has no version ${toVersion || '""'}; register it first.`,
      );
    if (known.stable === '')
      throw new ThalamusError(
        'RELEASE_CONFLICT',
        `${expert} has no stable version to go back to; promote ${toVersion} with a reason.`,
      );
    if (known.stable === toVersion)
      throw new ThalamusError('RELEASE_CONFLICT', `${expert}@${toVersion} is stable already.`);
    return known.stable;
  }

  /** @throws REQUEST_INVALID when a rule asks for what this release will not say */
  private needFit(
    { document }: GivenGate,
    { expert, toVersion, oldDigest, newDigest, overrideReason }: releaseV1.StartRequest,
    { plan, fromVersion, probes }: Pick<Checked, 'plan' | 'fromVersion'> & { readonly probes: number },
  ): void {
    const isWhole = (version: string) =>
      this.releases.view.version(expert, version)?.kind === registryV1.ExpertKind.FULL;
    needGateFits(document, {
      isCompared: oldDigest !== '' || newDigest !== '' || overrideReason.trim() !== '',
      isMirrored: plan.mirrorShare > 0,
      probes,
      hasOwnProcess: isWhole(fromVersion) && isWhole(toVersion),
    });
  }

  private async compared({ oldDigest, newDigest }: releaseV1.StartRequest, plan: releaseV1.ReleasePlan) {
    if (oldDigest === '' && newDigest === '') return undefined;
    return this.checks.compare.kept(oldDigest, newDigest, plan.negativeFlipBudget);
  }

  private begun(id: string, request: releaseV1.StartRequest, checked: Checked, actor: Actor): ReleaseRecord {
    const { plan, fromVersion, override, comparison, evidence, gate, probes, stopped } = checked;
    const { expert, toVersion } = request;
    const why = (reason: string, by: string): StepReason => ({ by, reason, evidence, atMs: this.now() });
    const names = { id, expert, fromVersion, toVersion };
    const draft = create(releaseV1.ReleaseSchema, {
      ...names,
      plan,
      state: ReleaseState.DRAFT,
      ...(comparison ? { comparison } : {}),
      ...(gate ? { gate } : {}),
      ...(probes ? { probes } : {}),
    });
    const summary = create(registryV1.ReleaseSummarySchema, {
      ...names,
      state: stateName(ReleaseState.UNSPECIFIED),
      mirrorPerSecond: plan.mirrorPerSecond,
      details: { ...draft, state: ReleaseState.UNSPECIFIED },
    }) as ReleaseRecord;
    const overridden = override === '' ? '' : ` Overridden: ${override}`;
    const begun = moved(
      summary,
      ReleaseState.DRAFT,
      {
        ...why(`Started.${overridden}`, actor.id),
        evidence: [gate, probes].flatMap((kept) => kept?.digest ?? []),
      },
      comparison ? {} : { stopped },
    );
    if (!comparison) return begun;
    return moved(begun, ReleaseState.COMPARED, why(`${comparison.reason}${overridden}`, GATE), { stopped });
  }
}

/** @throws RELEASE_CONFLICT when callers would break, and nobody says why they may */
function needContract(
  { expert, toVersion, overrideReason }: releaseV1.StartRequest,
  fromVersion: string,
  differences: readonly ContractDifference[],
): void {
  const override = overrideReason.trim();
  const { breaking, isAllowed } = settleContract(differences, ...(override === '' ? [] : [override]));
  if (isAllowed) return;
  throw new ThalamusError(
    'RELEASE_CONFLICT',
    `Callers of ${expert}@${fromVersion} would break with ${toVersion}: ${breaking.map(({ sentence }) => sentence).join(' ')} Give an override_reason to release it all the same.`,
  );
}

function nothingKnown(): ThalamusError {
  return new ThalamusError(
    'REQUEST_INVALID',
    'Nothing is compared offline and nothing mirrored, so callers would get a candidate that nothing is known of; send prediction files, labelled probes, a mirror_share above 0, or an override_reason.',
    {
      violations: [
        {
          field: 'override_reason',
          description: 'or old_digest and new_digest, probes_digest, or mirror_share',
        },
      ],
    },
  );
}
