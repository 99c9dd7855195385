import { Alert, Button, Group, Text, Title } from '@mantine/core';
import { IconArrowBackUp, IconArrowUpCircle, IconCheck, IconPlayerPause } from '@tabler/icons-react';
import { useDisclosure } from '@mantine/hooks';
import { useState } from 'react';
import type { Release } from '../../api/release-types.js';
import type { Move } from '../../api/releases.js';
import { mayActAs, useRole } from '../../api/session.js';
import { MoveDialog } from './move-dialog.js';
import { isLive, mayBeApproved, STATES, stepShare, stopsOf, trafficText } from './release-facts.js';
import { StateBadge, Versions } from './release-list.js';
import { RepairButton } from './repair-button.js';
import { RepairNote } from './repair-note.js';

/** Which release, how far it is, what it waits for, and the ways out of it. */
export function ReleaseHead({ release }: { readonly release: Release }) {
  const [move, setMove] = useState<Move>('promote');
  const [isAsking, { open, close }] = useDisclosure();
  const role = useRole();
  const blocked = mayActAs(role, 'operator')
    ? ''
    : `Your role, ${role}, may look. Promoting and rolling back take the role operator.`;
  return (
    <section className="card release-head" aria-label="Where it stands">
      <Group justify="space-between" align="flex-start" gap="sm">
        <div>
          <Group gap="xs">
            <Title order={2} size="h3">
              {release.expert} <Versions row={release} />
            </Title>
            <StateBadge row={release} />
          </Group>
          <Text size="sm" className="quiet">
            {STATES[release.state].meaning}
          </Text>
        </div>
        <Moves
          release={release}
          blocked={blocked}
          onMove={(wanted) => {
            setMove(wanted);
            open();
          }}
        />
      </Group>
      <Stops release={release} />
      {release.stopped !== '' && (
        <Alert
          color="yellow"
          variant="light"
          icon={<IconPlayerPause size={18} />}
          title="It does not go on by itself"
          data-testid="stopped"
        >
          {release.stopped}
        </Alert>
      )}
      <StepProgress release={release} />
      <RepairNote release={release} />
      {blocked !== '' && (
        <Text size="xs" className="quiet" id="blocked">
          {blocked}
        </Text>
      )}
      <MoveDialog release={release} move={move} isOpen={isAsking} onClose={close} />
    </section>
  );
}

function Moves(props: {
  readonly release: Release;
  readonly blocked: string;
  readonly onMove: (move: Move) => void;
}) {
  const { release, blocked, onMove } = props;
  if (release.state === 'rolled_back') return null;
  const described = blocked === '' ? undefined : 'blocked';
  return (
    <Group gap="xs">
      {mayBeApproved(release) && (
        <Button
          size="compact-md"
          variant="light"
          leftSection={<IconCheck size={16} />}
          disabled={blocked !== ''}
          aria-describedby={described}
          onClick={() => {
            onMove('approve');
          }}
        >
          Approve
        </Button>
      )}
      <RepairButton release={release} blocked={blocked !== ''} describedBy={described} />
      {isLive(release) && (
        <Button
          size="compact-md"
          variant="light"
          leftSection={<IconArrowUpCircle size={16} />}
          disabled={blocked !== ''}
          aria-describedby={described}
          onClick={() => {
            onMove('promote');
          }}
        >
          Promote
        </Button>
      )}
      <Button
        size="compact-md"
        variant="default"
        leftSection={<IconArrowBackUp size={16} />}
        disabled={blocked !== ''}
        aria-describedby={described}
        onClick={() => {
          onMove('rollback');
        }}
      >
        Roll back
      </Button>
    </Group>
  );
}

const SAID = { done: 'done', now: 'now', ahead: 'ahead', back: 'ended' } as const;

function Stops({ release }: { readonly release: Release }) {
  return (
    <ol className="stops" aria-label="Steps to all callers" data-testid="stops">
      {stopsOf(release).map(({ label, status }) => (
        <li key={label} data-status={status} aria-current={status === 'now' ? 'step' : undefined}>
          <i aria-hidden />
          <span>{label}</span>
          <span className="unseen">, {SAID[status]}</span>
        </li>
      ))}
    </ol>
  );
}

function StepProgress({ release }: { readonly release: Release }) {
  const { plan, live, stopped } = release;
  // Why it stopped is said above.
  const waitingFor = release.waitingFor === stopped ? '' : release.waitingFor;
  const share = stepShare(release);
  if (share === undefined || !plan || !live)
    return waitingFor === '' ? null : (
      <Text size="sm" data-testid="waiting">
        {waitingFor}
      </Text>
    );
  return (
    <div data-testid="step">
      <Text size="sm" data-testid="waiting">
        {waitingFor}
      </Text>
      <div className="step-track" aria-hidden>
        <div style={{ width: `${100 * share}%` }} />
      </div>
      <Text size="xs" className="quiet">
        {trafficText(release)}; {live.stepSamples.toLocaleString('en')} of{' '}
        {plan.minimumSamples.toLocaleString('en')} samples have come; a step takes{' '}
        {plan.stepSeconds.toLocaleString('en')} s at least.
      </Text>
    </div>
  );
}
