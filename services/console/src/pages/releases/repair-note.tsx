import { Alert, Code, Text } from '@mantine/core';
import { IconTool } from '@tabler/icons-react';
import type { Release, Repair } from '../../api/release-types.js';
import { repairState, whoText, type RepairState } from './release-facts.js';

const COLORS: Readonly<Record<RepairState, string>> = {
  running: 'yellow',
  taken: 'sage',
  left: 'gray',
  overtaken: 'gray',
};

/** The last repair of the candidate: what became of it, which job made it, of what, and who asked for it. */
export function RepairNote({ release }: { readonly release: Release }) {
  const { repair } = release;
  const state = repairState(release);
  if (!repair || !state) return null;
  return (
    <Alert
      color={COLORS[state]}
      variant="light"
      icon={<IconTool size={18} />}
      title={titleOf(state, repair, release)}
      data-testid="repair"
    >
      <Text size="sm">
        {howText(repair)}, asked for by {whoText(repair.by)}
        {repair.at === null ? '' : ` on ${new Date(repair.at).toLocaleString()}`}.
      </Text>
      <Text size="xs" className="quiet">
        Follow its job: <Code>thalamus jobs watch {repair.job}</Code>
      </Text>
    </Alert>
  );
}

function titleOf(state: RepairState, { replacedVersion }: Repair, { toVersion }: Release): string {
  switch (state) {
    case 'running':
      return `Version ${replacedVersion} is being repaired`;
    case 'taken':
      return `Version ${toVersion} is ${replacedVersion} repaired, and took its place`;
    case 'left':
      return `The repair of version ${replacedVersion} was not taken`;
    case 'overtaken':
      return `The release went on before version ${replacedVersion} was repaired`;
  }
}

function howText({ parameters: { method, dataset, seed } }: Repair): string {
  const text = (value: typeof method, other: string) =>
    typeof value === 'string' || typeof value === 'number' ? String(value) : other;
  return `By ${text(method, 'the usual method')} on ${text(dataset, 'its rows')}, seed ${text(seed, '0')}`;
}
