import { releaseV1 } from '@thalamus/contracts';
import { waitUntil } from '@thalamus/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeOf, errorOf, RunningUpdater, temporaryFolder } from './running-updater.js';

const { Verdict } = releaseV1;

/** Predictions of 10 items in two slices; the answer of item i is the i-th character. */
const LABELS = 'aaaaabbbbb';
const file = (answers: string, labels = LABELS) =>
  Buffer.from(
    Array.from(answers)
      .map((prediction, index) =>
        JSON.stringify({
          id: String(index),
          label: labels[index],
          prediction,
          slice: index % 2 ? 'odd' : 'even',
        }),
      )
      .join('\n'),
  );
const inline = (answers: Uint8Array) => ({ case: 'oldPredictions' as const, value: answers });
const inlineNew = (answers: Uint8Array) => ({ case: 'newPredictions' as const, value: answers });

describe('releases of a running updater', () => {
  const folder = temporaryFolder();
  let updater: RunningUpdater;
  let release: RunningUpdater['clients']['release'];
  let registry: RunningUpdater['clients']['registry'];

  beforeAll(async () => {
    updater = await RunningUpdater.start(folder.path);
    ({ release, registry } = updater.clients);
    await waitUntil('a writer is elected', async () => (await registry.getStatus({})).isLeader);
    for (const version of ['1', '2'])
      await registry.registerVersion({ version: { manifestDigest: await updater.store({ version }) } });
  });
  afterAll(async () => {
    await updater.stop();
    folder.remove();
  });

  const compare = (before: Uint8Array, after: Uint8Array, negativeFlipBudget = 0) =>
    release.compare({ old: inline(before), new: inlineNew(after), negativeFlipBudget });

  // Old right on items 0-7; new right on 0-4, 8 and 9. Flips right to wrong: 5, 6, 7; wrong to right: 8, 9.
  const OLD = file('aaaaabbbaa');
  const NEW = file('aaaaaaaabb');

  it('compares two files: figures by hand, intervals and p-value of scipy', async () => {
    const { overall, slices, items, verdict, negativeFlipBudget } = await compare(OLD, NEW);
    expect(overall).toMatchObject({
      n: 10n,
      oldAccuracy: { count: 8n, value: 0.8 },
      newAccuracy: { count: 7n, value: 0.7 },
      negativeFlips: { count: 3n, value: 0.3 },
      positiveFlips: { count: 2n, value: 0.2 },
      inconsistentFlips: { count: 3n, value: 0.3 },
    });
    // binomtest(3, 10).proportion_ci(method="wilson") and binomtest(2, 5).pvalue
    expect(overall?.negativeFlips?.low).toBeCloseTo(0.1077913, 6);
    expect(overall?.negativeFlips?.high).toBeCloseTo(0.6032219, 6);
    expect(overall?.mcnemarP).toBeCloseTo(1, 12);
    expect(overall?.backwardTrust).toBeCloseTo(5 / 8, 12);
    expect(negativeFlipBudget).toBe(0.01);
    expect(verdict).toBe(Verdict.INCOMPATIBLE);
    expect(slices.map(({ slice, n }) => [slice, n])).toEqual([
      ['even', 5n],
      ['label=a', 5n],
      ['label=b', 5n],
      ['odd', 5n],
    ]);
    expect(slices.find(({ slice }) => slice === 'label=b')).toMatchObject({
      negativeFlips: { count: 3n },
      positiveFlips: { count: 2n },
    });
    expect(items.map(({ id, negative }) => [id, negative])).toEqual([
      ['5', true],
      ['6', true],
      ['7', true],
      ['8', false],
      ['9', false],
    ]);
  });

  it('says compatible, incompatible or inconclusive by the budget', async () => {
    const many = (wrong: number) => file('b'.repeat(wrong) + 'a'.repeat(1000 - wrong), 'a'.repeat(1000));
    const right = many(0);
    const verdictOf = async (wrong: number) => (await compare(right, many(wrong), 0.05)).verdict;
    expect(await verdictOf(0)).toBe(Verdict.COMPATIBLE);
    expect(await verdictOf(50)).toBe(Verdict.INCONCLUSIVE);
    expect(await verdictOf(100)).toBe(Verdict.INCOMPATIBLE);
  });

  it('reads files from the artifact store by digest, and returns as many items as wanted', async () => {
    const old = await updater.clients.artifacts.put(OLD);
    const next = await updater.clients.artifacts.put(NEW);
    const answer = await release.compare({
      old: { case: 'oldDigest', value: old.digest },
      new: { case: 'newDigest', value: next.digest },
      maxItems: 2,
    });
    expect(answer.overall?.negativeFlips?.count).toBe(3n);
    expect(answer.items).toHaveLength(2);
    const absent = { case: 'oldDigest' as const, value: `sha256:${'00'.repeat(32)}` };
    expect(await codeOf(release.compare({ old: absent, new: inlineNew(NEW) }))).toBe('ARTIFACT_NOT_FOUND');
  });

  it.each([
    ['other items', file('aaaaabbba'), 'DATASET_INVALID', '"9"'],
    ['other right labels', file('aaaaabbbaa', 'aaaaabbbbc'), 'DATASET_INVALID', 'right label'],
    ['an id twice', Buffer.concat([OLD, Buffer.from('\n'), OLD]), 'DATASET_INVALID', 'line 11'],
    ['a missing field', Buffer.from('{"id":"0","label":"a"}'), 'DATASET_INVALID', 'prediction'],
    [
      'an unknown field',
      Buffer.from('{"id":"0","label":"a","prediction":"a","x":1}'),
      'DATASET_INVALID',
      '"x"',
    ],
    ['text that is not UTF-8', Buffer.from([0x7b, 0xff, 0xfe]), 'DATASET_INVALID', 'UTF-8'],
    ['something that is not JSON', Buffer.from('nonsense'), 'DATASET_INVALID', 'line 1'],
    ['nothing', Buffer.alloc(0), 'DATASET_INVALID', 'no predictions'],
    ['more than 3 MiB', Buffer.alloc(3 * 2 ** 20 + 1, 'x'), 'REQUEST_TOO_LARGE', 'artifact store'],
  ])('refuses a file with %s', async (_, broken, code, part) => {
    const error = await errorOf(compare(OLD, broken));
    expect(error.code).toBe(code);
    expect(error.message).toContain(part);
  });

  it('refuses a file that is left out and a budget that is no share', async () => {
    expect(await codeOf(release.compare({ old: inline(OLD) }))).toBe('REQUEST_INVALID');
    for (const budget of [-0.1, 1.5, Number.NaN])
      expect(await codeOf(compare(OLD, NEW, budget))).toBe('REQUEST_INVALID');
  });

  describe('promotion', () => {
    const stable = async () => {
      const { resource } = await registry.getResource({ key: 'expert/pico' });
      return resource?.value.case === 'expert' ? resource.value.value.stable : undefined;
    };

    it('without a release needs a reason', async () => {
      const error = await errorOf(release.promote({ expert: 'pico', version: '2', reason: ' ' }));
      expect(error.code).toBe('REQUEST_INVALID');
      expect(error.message).toContain('reason');
      expect(await stable()).toBe('1');
    });

    it('makes the version stable, says what was, and is recorded with its reason', async () => {
      const answer = await release.promote({ expert: 'pico', version: '2', reason: 'compared by hand' });
      expect(answer).toMatchObject({ version: '2', previousVersion: '1' });
      expect(await stable()).toBe('2');
      expect((await updater.audit()).at(-1)).toMatchObject({
        action: 'release.Promote',
        subject: 'expert/pico',
        reason: 'compared by hand',
        revision: answer.revision,
      });
    });

    it('back to the former version rolls back', async () => {
      const answer = await release.promote({ expert: 'pico', version: '1', reason: 'it was worse' });
      expect(answer.previousVersion).toBe('2');
      expect(await stable()).toBe('1');
    });

    it('refuses unknown versions, releases and a revision that has passed', async () => {
      const promote = (version: string, more = {}) =>
        codeOf(release.promote({ expert: 'pico', version, reason: 'try', ...more }));
      expect(await promote('9')).toBe('EXPERT_NOT_FOUND');
      expect(await promote('2', { releaseId: 'r1' })).toBe('RESOURCE_NOT_FOUND');
      expect(await promote('2', { expectedRevision: 1n })).toBe('REVISION_CONFLICT');
      expect(await stable()).toBe('1');
    });
  });
});
