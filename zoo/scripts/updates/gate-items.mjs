// Items with the answers of two versions, as a release of gate-releases.json says.
import { readFileSync } from 'node:fs';
import { FileComparison } from '@thalamus/compatibility';

const GOLDEN = new URL('../../../libs/compatibility/src/__golden__/llmdrift.json', import.meta.url);
/** How far the logit of the right label is above the others in the mean, where logits are rounded. */
const MARGIN = 3.2;
const encoder = new TextEncoder();

/** The comparison that a gate looks at: files as bytes, through the reader that `thalamus release compare` uses. */
export function compareItems(release, random, gateSlices = ['label', 'tenant']) {
  const rows = release.recorded ? recordedRows(release.recorded) : simulatedRows(release, random);
  const comparison = new FileComparison({
    files: { before: 'before', after: 'after' },
    dimensions: release.recorded ? ['label'] : gateSlices,
  });
  const file = (which) => encoder.encode(rows.map((row) => JSON.stringify(answerOf(row, which))).join('\n'));
  comparison.before(file('before'));
  comparison.endBefore();
  comparison.after(file('after'));
  return comparison.result({ budget: 0.01, items: 0 });
}

function answerOf({ id, label, tenant, ...answers }, which) {
  return { id, label, prediction: answers[which], ...(tenant ? { tenant } : {}) };
}

/** Which recorded answers of two remote versions were right. */
function recordedRows([task, before, after]) {
  const { tasks } = JSON.parse(readFileSync(GOLDEN, 'utf8'));
  const said = (model, at) => (tasks[task][model][at] === '1' ? 'right' : 'wrong');
  return Array.from(tasks[task][before], (_, at) => ({
    id: String(at),
    label: 'right',
    before: said(before, at),
    after: said(after, at),
  }));
}

function simulatedRows(release, random) {
  return Array.from({ length: release.items }, (_, at) => {
    const own = random.below(release.labels);
    const label = `label-${own}`;
    const tenant = tenantOf(release, random);
    const { before, after } = release.round
      ? roundedAnswers(release, own, random)
      : flippedAnswers(release, { label, own, tenant }, random);
    return { id: String(at), label, tenant, before, after: swapped(after, release.swap) };
  });
}

/** Groups of items that are not labels stand as tenants: the gate slices by both. */
function tenantOf({ slices = [] }, random) {
  const group = slices.find(({ share }) => share !== undefined);
  if (!group) return random.next() < 0.5 ? 'north' : 'south';
  return random.next() < group.share ? group.slice : 'others';
}

function flippedAnswers(release, { label, own, tenant }, random) {
  const { accuracy, labels, slices = [], won } = release;
  const group = slices.find(({ slice }) => slice === label || slice === tenant);
  const lost = group?.lost ?? release.lost;
  const other = () => `label-${(own + 1 + random.below(labels - 1)) % labels}`;
  const before = random.next() < accuracy ? label : other();
  if (before === label) return { before, after: random.next() < lost ? other() : label };
  return { before, after: random.next() < won ? label : before };
}

/** The same logits, whole and rounded to steps: what storing weights in few bits does to answers that were close. */
function roundedAnswers({ labels, round }, own, random) {
  const logits = Array.from({ length: labels }, (_, at) => random.normal() + (at === own ? MARGIN : 0));
  const first = (values) => `label-${values.indexOf(Math.max(...values))}`;
  return { before: first(logits), after: first(logits.map((logit) => Math.round(logit / round))) };
}

function swapped(answer, swap) {
  if (!swap) return answer;
  const [one, other] = swap;
  if (answer === one) return other;
  return answer === other ? one : answer;
}
