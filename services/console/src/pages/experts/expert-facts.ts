import type { ExpertRow, VersionRow } from '../../api/types.js';

/** The version that callers get. */
export function stableOf(row: ExpertRow): VersionRow | undefined {
  return row.versions.find(({ version }) => version === row.stable);
}

/** Test accuracy of the stable version, or a dash. */
export function accuracyOf(row: ExpertRow): string {
  const figure = stableOf(row)?.evaluation.find(
    ({ metric, split }) => metric === 'accuracy' && split === 'test',
  );
  return figure ? `${(figure.value * 100).toFixed(1)} %` : '–';
}

/** Where the stable version is loaded, in a word and a colour. */
export function residencyOf(row: ExpertRow): { text: string; colour: string; memoryBytes: number } {
  const stable = stableOf(row);
  if (stable?.kind === 'upstream') return { text: 'remote', colour: 'gray', memoryBytes: 0 };
  const residents = stable?.residents ?? [];
  const memoryBytes = residents.reduce((sum, resident) => sum + resident.memoryBytes, 0);
  const ready = residents.filter(({ state }) => state === 'ready').length;
  if (ready > 0)
    return { text: ready === 1 ? 'on one host' : `on ${ready} hosts`, colour: 'sage', memoryBytes };
  if (residents.some(({ state }) => state === 'failed'))
    return { text: 'failed', colour: 'red', memoryBytes };
  if (residents.length > 0) return { text: 'loading', colour: 'yellow', memoryBytes };
  return { text: 'nowhere', colour: 'gray', memoryBytes };
}

/** Bytes in the unit that people read. */
export function bytesText(bytes: number): string {
  if (bytes === 0) return '–';
  if (bytes < 2 ** 20) return `${Math.max(1, Math.round(bytes / 2 ** 10))} KiB`;
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** What a version is, in one line. */
export function versionSummary(version: VersionRow): string {
  const { kind, sizeBytes, parameterCount, licence, prices } = version;
  return [
    kind === 'upstream' ? 'remote model' : kind,
    ...(sizeBytes > 0 && kind !== 'upstream' ? [bytesText(sizeBytes)] : []),
    ...(parameterCount > 0 ? [`${parametersText(parameterCount)} parameters`] : []),
    ...(prices ? [`$${prices.inputUsdPerMtok} in, $${prices.outputUsdPerMtok} out per million tokens`] : []),
    licence,
  ].join(' · ');
}

function parametersText(count: number): string {
  return count >= 1e9 ? `${(count / 1e9).toFixed(1)} B` : `${(count / 1e6).toFixed(1)} M`;
}
