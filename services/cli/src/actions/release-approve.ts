import { askGateway } from '../gateway-client.js';
import { outputOf, type CommonOptions } from '../mesh-command.js';
import { table } from '../output.js';

/** Options of `release approve`. */
export interface ApproveOptions extends CommonOptions {
  readonly reason: string;
}

/** What of the gateway's answer is shown. */
interface Approved {
  readonly id: string;
  readonly stopped: string;
  readonly waitingFor: string;
  readonly gate: {
    readonly name: string;
    readonly rules: readonly { readonly rule: string; readonly status: string; readonly sentence: string }[];
    readonly approvals: readonly { readonly by: string; readonly reason: string; readonly state: string }[];
  } | null;
}

/** Approves a release in the name of a key, by the gateway, which knows whose it is. @throws RESOURCE_NOT_FOUND, RELEASE_CONFLICT, PERMISSION_DENIED */
export async function approveRelease(id: string, options: ApproveOptions): Promise<void> {
  const path = `/admin/v1/releases/${encodeURIComponent(id)}/approve`;
  const release = await askGateway<Approved>(options, 'POST', path, { reason: options.reason });
  const { gate, stopped, waitingFor } = release;
  const wait = stopped === '' ? waitingFor : `stopped: ${stopped}`;
  outputOf(options).answer(release, () => [
    ...[`${release.id}: approved`, ...(wait === '' ? [] : [wait])],
    ...table(gate?.rules.map(({ status, rule, sentence }) => [`  ${status}`, rule, sentence]) ?? []),
    ...(gate?.approvals.map(({ by, reason, state }) => `  approved by ${by} in ${state}: ${reason}`) ?? []),
  ]);
}
