import './releases.css';
import { Button, Stack } from '@mantine/core';
import { IconRocket } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useParams } from 'wouter';
import { ApiError } from '../../api/client.js';
import { releasesApi } from '../../api/releases.js';
import { PageHead } from '../../layout/page-head.js';
import { Empty } from '../../states/empty.js';
import { Fault } from '../../states/fault.js';
import { Loading } from '../../states/loading.js';
import { Stale } from '../../states/stale.js';
import { withReading, type WatchedRelease } from './readings.js';
import { ReleaseBoard } from './release-board.js';
import { isLive } from './release-facts.js';
import { ReleaseList } from './release-list.js';

const REFRESH_MS = 5_000;
const WATCH_MS = 2_000;

const isUnreachable = (fault: unknown) => fault instanceof ApiError && fault.isUnreachable;

/** Updates on their way: where each stands, what it breaks, and the buttons that end it. */
export function ReleasesPage() {
  const { id: raw } = useParams<{ id?: string }>();
  const wanted = raw === undefined ? undefined : decodeURIComponent(raw);
  const query = useInfiniteQuery({
    queryKey: ['releases'],
    queryFn: ({ pageParam }) => releasesApi.page(pageParam),
    initialPageParam: '',
    getNextPageParam: ({ nextPageToken }) => nextPageToken,
    refetchInterval: REFRESH_MS,
  });
  const rows = query.data?.pages.flatMap(({ data }) => data) ?? [];
  const shown = wanted ?? rows[0]?.id;
  const isStale = isUnreachable(query.error);
  return (
    <Stack gap="lg" maw={1180} mx="auto">
      <PageHead
        title="Releases"
        purpose="New versions on their way to callers: where each stands, and what it breaks."
      />
      {isStale && <Stale since={query.dataUpdatedAt === 0 ? undefined : new Date(query.dataUpdatedAt)} />}
      {query.error && !isStale && <Fault fault={query.error} onRetry={() => void query.refetch()} />}
      {query.isLoading && <Loading label="Asking for the releases" />}
      {query.data && rows.length === 0 && wanted === undefined && <NoReleases />}
      {rows.length > 0 && (
        <div className={query.error ? 'old' : undefined} data-testid="releases">
          <ReleaseList rows={rows} shown={shown} isNamed={wanted !== undefined} now={query.dataUpdatedAt} />
          {query.hasNextPage && (
            <Button
              mt="xs"
              size="compact-sm"
              variant="subtle"
              loading={query.isFetchingNextPage}
              onClick={() => void query.fetchNextPage()}
            >
              Older releases
            </Button>
          )}
        </div>
      )}
      {shown !== undefined && (
        <div className={wanted === undefined ? 'wide-only' : undefined}>
          <Watched key={shown} id={shown} />
        </div>
      )}
    </Stack>
  );
}

function NoReleases() {
  return (
    <div className="card">
      <Empty icon={<IconRocket size={22} />} title="No releases">
        Versions that are promoted on the page of the experts go to all callers at once. A release goes step
        by step, and comes back by itself when it breaks what worked.
      </Empty>
    </div>
  );
}

/** One release, asked for again while it may move; what live traffic said of it before is asked for once, and what it says is added. */
function Watched({ id }: { readonly id: string }) {
  const { data, error, isLoading, refetch } = useQuery({
    queryKey: ['release', id],
    queryFn: async ({ client }): Promise<WatchedRelease> => {
      const release = await releasesApi.release(id);
      const before = client.getQueryData<WatchedRelease>(['release', id]);
      const isOver = before && isLive(before.release) && !isLive(release);
      // What was said before the page looked, and, once it is over, what it was decided by.
      const readings = before && !isOver ? before.readings : await releasesApi.readings(id);
      return { release, readings: withReading(readings, release.live) };
    },
    refetchInterval: ({ state }) => {
      if (state.error) return isUnreachable(state.error) ? WATCH_MS : false;
      return state.data && isLive(state.data.release) ? WATCH_MS : REFRESH_MS;
    },
  });
  return (
    <Stack gap="md">
      {/* That the gateway does not answer is said above. */}
      {error && !(data && isUnreachable(error)) && <Fault fault={error} onRetry={() => void refetch()} />}
      {isLoading && <Loading label="Reading the release" />}
      {data && (
        <div className={error ? 'old' : undefined}>
          <ReleaseBoard watched={data} />
        </div>
      )}
    </Stack>
  );
}
