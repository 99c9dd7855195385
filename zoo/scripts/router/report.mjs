// The page docs/results/router-v0.md.

const table = (head, rows) =>
  [
    `| ${head.join(' | ')} |`,
    `| ${head.map(() => '---').join(' | ')} |`,
    ...rows.map((cells) => `| ${cells.join(' | ')} |`),
  ].join('\n');
const percent = (value) => `${(100 * value).toFixed(1)} %`;

/** Markdown of the page. */
export function reportPage({ result, tried, best, scores, abstain, counts, scale }) {
  const figures = Object.entries(result.figures).map(([name, { value, interval, n }]) => [
    name === 'best single loss' ? `${name} (${result.bestSingle})` : name,
    value.toFixed(4),
    interval.map((bound) => bound.toFixed(4)).join(' to '),
    n,
  ]);
  const heads = tried.map((item) => [
    item === best ? `${item.name} (shipped)` : item.name,
    item.regret.toFixed(4),
    item.top1.toFixed(4),
    item.calibration.toFixed(4),
  ]);
  const abstention = scores.map((item) => [
    item === abstain ? `${item.name} (shipped)` : item.name,
    percent(item.validation),
  ]);
  const sets = result.perSet.map(({ set, n, own, regret }) => [set, n, percent(own), regret.toFixed(4)]);
  return `# Router v0 (zoo-router@5)

What small heads on frozen sentence vectors know about which of nine experts will do well. Loss is the
cross-entropy of the right label in nats, clipped at ln ${scale.labelCount}; an expert without the right label costs
ln ${scale.labelCount} + 1. Made by \`npm run zoo:router -- --data DIR\`, which writes this page; \`npm run zoo:verify -- --data DIR\`
measures its figures again from the committed weights.

Rows: ${counts.router} to fit losses to, ${counts.choose} to choose among the ideas, ${counts.calibrate} to calibrate intervals and the threshold,
${counts.test} of the test files for the figures below, read once after everything had been chosen. The best single expert is
chosen on validation too. Intervals are 95 % bootstrap intervals over prompts.

${table(['test figure', 'value', 'interval', 'n'], figures)}

Calibration error (15 bins of equal mass): ${result.calibrationError.toFixed(4)} nats over all predictions,
${result.chosenCalibrationError.toFixed(4)} nats over the predictions for the expert routed to.

![Measured against predicted loss](router-v0-reliability.svg)

## Ideas tried (choosing half of the validation rows)

${table(['head', 'mean regret', 'top-1', 'calibration error'], heads)}

A gated head guesses which expert is best with a softmax and fits the losses on that guess and the vector. "Gate on expert
rows too": which set a row belongs to does not depend on how well the expert does on it, so the gate may learn from the
${counts.expert} rows that the experts were trained on as well; losses are still fitted to held-out rows alone.

## Abstention (threshold: 5 % false abstention on calibration rows)

${table(['score', 'out-of-scope validation prompts abstained (n 100)'], abstention)}

Out-of-scope prompts of clinc_oos are short questions to an assistant, near to what clinc150 and banking77 know: they look
like a request to the assistant for the gate, so its confidence says little; the distance to what was seen says more. With
100 validation prompts the shares are known to about ten points. No score was tuned on them beyond this choice.

## By set

${table(['set', 'test rows', 'routed to its own expert', 'mean regret'], sets)}

Limits: sets that lie close in the space of a small sentence encoder are confused: clinc150 with snips7 and banking77 (short
requests), overruling and unfair_tos with other legal text, exam questions with science text.
`;
}
