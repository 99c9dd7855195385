import { Text, Title } from '@mantine/core';
import type { HostMemory, HostRow } from '../../api/types.js';
import { agoText, groupsOf, memoryText, readyText } from './host-facts.js';
import { MemoryBar } from './memory-bar.js';
import { VersionGroups } from './version-groups.js';

/** One host: its limit, what waits and what went wrong, and every version that it serves. */
export function HostCard({ host, now }: { readonly host: HostRow; readonly now: number }) {
  return (
    <section className="card host" aria-label={`Host ${host.address}`}>
      <header className="host-head">
        <div>
          <Title order={2} size="h4">
            {host.address}
          </Title>
          <Text size="xs" className="quiet">
            {readyText(host)} in memory
            {host.memory?.startedAt && ` · started ${agoText(host.memory.startedAt, now)}`}
          </Text>
        </div>
        {host.memory && <Counts memory={host.memory} />}
      </header>
      {host.memory ? (
        <MemoryBar memory={host.memory} />
      ) : (
        <Text size="sm" className="quiet">
          This host does not say how much it has in memory; it may be of an earlier release.
        </Text>
      )}
      {host.versions.length === 0 ? (
        <Text size="sm" className="quiet">
          It serves no expert yet.
        </Text>
      ) : (
        <VersionGroups groups={groupsOf(host)} now={now} />
      )}
      {host.hidden > 0 && (
        <Text size="xs" className="quiet">
          {host.hidden === 1 ? 'One more version is' : `${host.hidden} more versions are`} of experts that
          this key may not use.
        </Text>
      )}
    </section>
  );
}

function Counts({ memory }: { readonly memory: HostMemory }) {
  const { loadsWaiting, runsWaiting, evictions, restarts, recycles, spareBytes } = memory;
  return (
    <dl className="facts">
      <Count name="waiting for a run" value={runsWaiting} />
      <Count name="waiting for a load" value={loadsWaiting} />
      <Count name="let go for room" value={evictions} />
      <Count name="restarts" value={restarts} isTrouble />
      <Count name="exchanged" value={recycles} />
      {spareBytes > 0 && (
        <div>
          <dt>spare process</dt>
          <dd>{memoryText(spareBytes)}</dd>
        </div>
      )}
    </dl>
  );
}

function Count(props: { readonly name: string; readonly value: number; readonly isTrouble?: boolean }) {
  return (
    <div>
      <dt>{props.name}</dt>
      <dd data-trouble={props.isTrouble === true && props.value > 0}>{props.value.toLocaleString('en')}</dd>
    </div>
  );
}
