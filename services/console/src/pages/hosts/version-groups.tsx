import { Badge, Text, Tooltip } from '@mantine/core';
import { IconPinFilled } from '@tabler/icons-react';
import { Link } from 'wouter';
import type { HostedVersion, HostProcess } from '../../api/types.js';
import { agoText, memoryText, processText, STATES, wishText, type Group } from './host-facts.js';

/** Versions under the process that they run in; what is not loaded stands last. */
export function VersionGroups({ groups, now }: { readonly groups: readonly Group[]; readonly now: number }) {
  return (
    <div className="hosted">
      <div className="hosted-row hosted-head" aria-hidden>
        <span>Expert</span>
        <span>State</span>
        <span className="number">Own weights</span>
        <span className="number">Last used</span>
      </div>
      {groups.map(({ name, processes, versions }) => (
        <section key={name} aria-label={name === '' ? 'Not in memory' : `Process ${name}`}>
          <GroupHead name={name} processes={processes} />
          <ul className="hosted-list">
            {versions.map((version) => (
              <Row key={`${version.expert}@${version.version}`} version={version} now={now} />
            ))}
          </ul>
        </section>
      ))}
    </div>
  );
}

function GroupHead({
  name,
  processes,
}: {
  readonly name: string;
  readonly processes: readonly HostProcess[];
}) {
  return (
    <div className="hosted-group">
      <strong>{name === '' ? 'Not in memory' : `Process ${name}`}</strong>
      {processes.map((process, index) => (
        <span className="quiet" key={index}>
          {processText(process)}
        </span>
      ))}
    </div>
  );
}

function Row({ version, now }: { readonly version: HostedVersion; readonly now: number }) {
  const { expert, state, ownBytes, lastUsedAt, isPinned, waiting, errorCode } = version;
  const { text, colour, meaning } = STATES[state];
  const wish = wishText(version);
  return (
    <li className="hosted-row">
      <span className="hosted-name">
        <Link href={`/experts/${expert}`} className="row-link">
          {expert}
        </Link>
        <span className="quiet">@{version.version}</span>
        {wish !== '' && (
          <span className="hosted-wish">
            {isPinned && <IconPinFilled size={12} aria-hidden />} {wish}
          </span>
        )}
      </span>
      <span className="hosted-state">
        <Tooltip label={meaning}>
          <Badge variant="light" tt="none" color={colour}>
            {text}
          </Badge>
        </Tooltip>
        {errorCode !== '' && (
          <Text component="span" size="xs" className="quiet hosted-code">
            {errorCode}
          </Text>
        )}
        {waiting > 0 && (
          <Text component="span" size="xs" className="quiet">
            {waiting} waiting
          </Text>
        )}
      </span>
      <span className="number nowrap hosted-bytes">{state === 'ready' ? memoryText(ownBytes) : '–'}</span>
      <span className="number nowrap quiet">{agoText(lastUsedAt, now)}</span>
    </li>
  );
}
