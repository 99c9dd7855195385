import { Group, SegmentedControl, Text } from '@mantine/core';
import { useState } from 'react';
import type { PromptMap, RouterReport, SpaceName } from '../../api/types.js';
import { ChartCard, PlainTable } from './chart-card.js';
import { PromptPlane } from './prompt-plane.js';
import { colourings, crossTable, percent, SPACES } from './router-facts.js';

const COLOURED_BY = [
  { value: 'domain', label: 'Domain' },
  { value: 'expert', label: 'Chosen expert' },
] as const;
type ColouredBy = (typeof COLOURED_BY)[number]['value'];

/** Prompts as places: who is near to whom, before training and after, by domain or by who is chosen. */
export function MapCard({ report }: { readonly report: RouterReport }) {
  const { map, experts } = report;
  // One domain alone would be one colour.
  const [by, setBy] = useState<ColouredBy>(map.labels.length > 1 ? 'domain' : 'expert');
  const [space, setSpace] = useState<SpaceName>(map.spaces.at(-1)?.space ?? 'losses');
  const [marked, setMarked] = useState<number>();
  const shown = map.spaces.find((own) => own.space === space) ?? map.spaces[0];
  if (!shown) return null;
  const colouring = colourings(report)[by];
  const legend = colouring.classes
    .map((own, at) => ({ ...own, at }))
    .sort((a, b) => b.count - a.count || a.at - b.at);
  return (
    <ChartCard
      title="Map of prompts"
      purpose={`${map.label.length.toLocaleString('en')} of the prompts, near to one another where the router sees them alike. No text is kept. How far groups are apart means nothing.`}
      table={<Cross map={map} experts={experts} />}
    >
      <Group gap="sm" className="map-controls">
        <SegmentedControl
          aria-label="Colour by"
          data={[...COLOURED_BY]}
          value={by}
          onChange={(value) => {
            setBy(value);
            setMarked(undefined);
          }}
        />
        <SegmentedControl
          aria-label="Seen by"
          data={map.spaces.map((own) => ({ value: own.space, label: SPACES[own.space].name }))}
          value={shown.space}
          onChange={setSpace}
        />
        <Text size="xs" className="quiet">
          {SPACES[shown.space].meaning}
        </Text>
      </Group>
      <div className="map-body">
        <PromptPlane
          x={shown.x}
          y={shown.y}
          colouring={colouring}
          marked={marked}
          label={`${map.label.length} prompts in the space “${SPACES[shown.space].name}”, coloured by ${by === 'domain' ? 'domain' : 'chosen expert'}`}
        />
        <div className="map-side">
          <ul className="map-legend" aria-label={by === 'domain' ? 'Domains' : 'Chosen experts'}>
            {legend.map(({ name, count, colour, at }) => (
              <li key={name} data-empty={count === 0} data-colour={colour}>
                <button
                  type="button"
                  aria-pressed={marked === at}
                  disabled={count === 0}
                  onClick={() => {
                    setMarked(marked === at ? undefined : at);
                  }}
                >
                  <i className="key-dot" aria-hidden />
                  <span className="map-name">{name}</span>
                  <span className="quiet number">{count.toLocaleString('en')}</span>
                </button>
              </li>
            ))}
          </ul>
          <Purity map={map} shown={shown.space} />
        </div>
      </div>
    </ChartCard>
  );
}

/** How pure the neighbourhood of a prompt is, before training and after. */
function Purity({ map, shown }: { readonly map: PromptMap; readonly shown: SpaceName }) {
  const best = (value: number | null) => (value === null ? '–' : percent(value, 1));
  const label = (value: number) => (map.labels.length > 1 ? percent(value, 1) : '–');
  return (
    <div className="purity">
      <Text size="sm" fw={600}>
        Purity
      </Text>
      <Text size="xs" className="quiet" mb={6}>
        How many of the {map.neighbours} nearest prompts agree with a prompt
      </Text>
      <table data-testid="purity">
        <thead>
          <tr>
            <th scope="col">
              <span className="unseen">Space</span>
            </th>
            <th scope="col">domain</th>
            <th scope="col">best expert</th>
          </tr>
        </thead>
        <tbody>
          <tr>
            <th scope="row" className="quiet">
              by chance
            </th>
            <td>{label(map.chance.label)}</td>
            <td>{best(map.chance.best)}</td>
          </tr>
          {map.spaces.map(({ space, purity }) => (
            <tr key={space} data-shown={space === shown}>
              <th scope="row">
                {SPACES[space].name}
                <span className="quiet">{space === 'encoder' ? ', before' : ', after'}</span>
              </th>
              <td>{label(purity.label)}</td>
              <td>{best(purity.best)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Cross({ map, experts }: { readonly map: PromptMap; readonly experts: readonly string[] }) {
  const table = crossTable(map, experts);
  return (
    <PlainTable
      head={['domain', ...experts.map((expert) => `to ${expert}`)]}
      rows={map.labels.map((label, at) => [label, ...(table[at] ?? []).map(String)])}
    />
  );
}
