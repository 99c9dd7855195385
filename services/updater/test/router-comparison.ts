import {
  compareChoices,
  defaultRouterGate,
  judgeChoices,
  routerReport,
  type RoutedPrompt,
  type RouterReport,
} from '@thalamus/compatibility';

const DIGEST = `sha256:${'0'.repeat(64)}`;

/** A comparison of two router models on 400 prompts, of which the new one loses a share that the old one had right. */
export function routerComparison(before: string, after: string, lost: number): RouterReport {
  const prompts = Array.from({ length: 400 }, (_, at): RoutedPrompt => {
    const isLost = at < 400 * lost;
    return {
      ...{ id: `p${at}`, choiceBefore: 'probe', choiceAfter: isLost ? 'other' : 'probe' },
      ...{ lossBefore: 0, lossAfter: isLost ? 1 : 0, best: 'probe', leastLoss: 0, slices: ['expert=probe'] },
    };
  });
  const comparison = compareChoices(prompts, { tolerance: 0.05, seed: 1, resamples: 200 });
  const model = (name: string, digest: string) => ({ name, version: '1', digest });
  const facts = {
    task: 'text-classification',
    before: model('before', before),
    after: model('after', after),
    table: { set: 'made', digest: DIGEST, split: 'test' as const, leftOut: 0 },
    lossUnit: 'error' as const,
    ...{ tolerance: 0.05, gateDigest: DIGEST, approvals: [], items: 5, notes: [] },
  };
  return routerReport(facts, comparison, judgeChoices(defaultRouterGate(), comparison));
}
