import { Stack } from '@mantine/core';
import { IconMapOff } from '@tabler/icons-react';
import { Link } from 'wouter';
import { PageHead } from '../layout/page-head.js';
import { Empty } from './empty.js';

/** A path that no page has: a mistyped address, or a link of another version. */
export function NothingHere() {
  return (
    <Stack gap="lg" maw={1180} mx="auto">
      <PageHead title="Not found" purpose="The console has no page of this address." />
      <div className="card">
        <Empty icon={<IconMapOff size={22} />} title="Nothing here">
          The menu lists every page. <Link href="/">Go to the playground</Link>
        </Empty>
      </div>
    </Stack>
  );
}
