import { timestampDate } from '@bufbuild/protobuf/wkt';
import { releaseV1 } from '@thalamus/contracts';
import { table } from '../output.js';

/** The gate of a release as one JSON value. */
export function gateJson({ name, digest, rules, approvals }: releaseV1.ReleaseGate) {
  return {
    ...{ name, digest },
    rules: rules.map((standing) => {
      const { rule, measure, data, slice, threshold, value, low, high, n, sentence } = standing;
      return {
        ...{ rule, measure, data, slice, threshold, status: statusOf(standing) },
        ...{ value, low, high, n: n === undefined ? undefined : Number(n), sentence },
        approvals: standing.approvals,
      };
    }),
    approvals: approvals.map(({ by, reason, at }) => ({
      ...{ by, reason },
      at: at ? timestampDate(at).toISOString() : '',
    })),
  };
}

/** For people: its rules, and who has approved. */
export function gateLines({ name, digest, rules, approvals }: releaseV1.ReleaseGate): string[] {
  return [
    `gate ${name} (${digest})`,
    ...table(rules.map((standing) => [`  ${statusOf(standing)}`, standing.rule, standing.sentence])),
    ...approvals.map(({ by, reason }) => `  approved by ${by}: ${reason}`),
  ];
}

function statusOf({ status }: releaseV1.RuleStanding): string {
  return releaseV1.RuleStatus[status].toLowerCase();
}
