import { describe, expect, it } from 'vitest';
import type { HostedVersion, HostMemory, HostProcess } from '../../api/types.js';
import { agoText, groupsOf, memoryText, readyText, sharesOf, wishText } from './host-facts.js';

const version = (expert: string, more: Partial<HostedVersion> = {}): HostedVersion => ({
  expert,
  version: '1',
  state: 'ready',
  memoryBytes: 0,
  ownBytes: 0,
  isPinned: false,
  priority: 0,
  lastUsedAt: null,
  process: '',
  waiting: 0,
  errorCode: '',
  ...more,
});
const process = (name: string, openBytes: number): HostProcess => ({
  name,
  pid: 1,
  openBytes,
  residentBytes: 0,
});
const memory = (more: Partial<HostMemory>): HostMemory => ({
  limitBytes: 0,
  ownBytes: 0,
  sharedBytes: 0,
  loadsWaiting: 0,
  runsWaiting: 0,
  restarts: 0,
  recycles: 0,
  evictions: 0,
  processes: [],
  spareBytes: 0,
  startedAt: null,
  ...more,
});
const host = (versions: HostedVersion[], processes: HostProcess[] = []) => ({
  id: 'h',
  address: '',
  memory: memory({ processes }),
  versions,
  hidden: 0,
});

describe('the bar of a host', () => {
  it('shows what bases and experts take of the limit', () => {
    expect(sharesOf(memory({ limitBytes: 200, sharedBytes: 50, ownBytes: 30 }))).toEqual([
      { kind: 'shared', bytes: 50, percent: 25 },
      { kind: 'own', bytes: 30, percent: 15 },
    ]);
  });

  it('is never longer than its track', () => {
    const percents = (limitBytes: number) =>
      sharesOf(memory({ limitBytes, sharedBytes: 300 })).map(({ percent }) => percent);
    expect(percents(200)).toEqual([100, 0]);
    expect(percents(0)).toEqual([0, 0]);
  });
});

describe('the versions of a host', () => {
  it('stand by process, the fullest first, what is not loaded last, what was used last first', () => {
    const groups = groupsOf(
      host(
        [
          version('a', { process: 'small@1' }),
          version('b', { process: 'base@1', lastUsedAt: '2026-01-01T00:00:00Z' }),
          version('c', { process: 'base@1', lastUsedAt: '2026-01-02T00:00:00Z' }),
          version('d', { process: 'base@1' }),
          version('e', { state: 'registered' }),
        ],
        [process('small@1', 10), process('base@1', 100), process('base@1', 100)],
      ),
    );
    expect(groups.map((group) => [group.name, group.versions.map(({ expert }) => expert)])).toEqual([
      ['base@1', ['c', 'b', 'd']],
      ['small@1', ['a']],
      ['', ['e']],
    ]);
    expect(groups.map(({ processes }) => processes.length)).toEqual([2, 1, 0]);
  });

  it('stand by process also when the host does not say what it has', () => {
    const groups = groupsOf({ ...host([version('a', { process: 'base@1' })]), memory: null });
    expect(groups).toMatchObject([{ name: 'base@1', processes: [] }]);
  });

  it('are counted, and so are those in memory', () => {
    expect(readyText(host([version('a'), version('b', { state: 'failed' })]))).toBe('1 of 2');
  });

  it('say what keeps them', () => {
    expect(wishText(version('a'))).toBe('');
    expect(wishText(version('a', { isPinned: true, priority: -2 }))).toBe('pinned, priority -2');
  });
});

it.each([
  [0, '0'],
  [10, '1 KiB'],
  [2 ** 20 * 1.5, '1.5 MiB'],
  [2 ** 31, '2.00 GiB'],
])('%d bytes are %s', (bytes, text) => {
  expect(memoryText(bytes)).toBe(text);
});

it.each([
  [1, 'just now'],
  [-30, 'just now'],
  [42, '42 s ago'],
  [125, '2 min ago'],
  [7_300, '2 h ago'],
  [200_000, '2 d ago'],
])('%d seconds ago reads "%s"', (seconds, text) => {
  const now = Date.UTC(2026, 0, 1);
  expect(agoText(new Date(now - seconds * 1000).toISOString(), now)).toBe(text);
  expect(agoText(null, now)).toBe('never');
});
