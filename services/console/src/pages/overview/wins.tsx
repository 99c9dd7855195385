import { Group, Progress, Stack, Text } from '@mantine/core';
import { IconWaveSine } from '@tabler/icons-react';
import type { LiveSnapshot } from '../../api/types.js';
import { Empty } from '../../states/empty.js';

/** Who answered how often. */
export function Wins({ wins }: { readonly wins: LiveSnapshot['wins'] }) {
  const all = wins.reduce((sum, { count }) => sum + count, 0);
  return (
    <section className="card" style={{ height: '100%' }} aria-label="Who answered">
      <Text fw={600} size="sm" mb="sm">
        Who answered
      </Text>
      {wins.length === 0 ? (
        <Empty icon={<IconWaveSine size={22} />} title="No answer yet">
          Ask something in the Playground, or with <code>npx thalamus ask</code>.
        </Empty>
      ) : (
        <Stack gap="sm">
          {wins.map(({ expert, count }) => (
            <div key={expert}>
              <Group justify="space-between" mb={2} wrap="nowrap">
                <Text size="sm" truncate>
                  {expert}
                </Text>
                <Text size="sm" className="number nowrap">
                  {count.toLocaleString('en')}
                  <Text span className="quiet" size="xs" ml={6}>
                    {((100 * count) / all).toFixed(0)} %
                  </Text>
                </Text>
              </Group>
              <Progress
                value={(100 * count) / all}
                size="sm"
                color="var(--loss)"
                aria-label={`${expert}, share of answers`}
              />
            </div>
          ))}
        </Stack>
      )}
    </section>
  );
}
