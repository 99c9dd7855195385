import { Badge, Group, Select, Stack, Text } from '@mantine/core';
import { IconChartDots3, IconReportAnalytics } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useLocation, useParams } from 'wouter';
import { api, ApiError } from '../../api/client.js';
import type { RouterRow } from '../../api/types.js';
import { PageHead } from '../../layout/page-head.js';
import { Empty } from '../../states/empty.js';
import { Fault } from '../../states/fault.js';
import { Loading } from '../../states/loading.js';
import { Stale } from '../../states/stale.js';
import { RouterBoard } from './router-board.js';
import { activationText, routerChoices, routerKey } from './router-facts.js';

const REFRESH_MS = 10_000;

/** How well the router chooses: calibration, regret, cost, and what it sees in prompts. */
export function RouterPage() {
  const { name, version } = useParams<{ name?: string; version?: string }>();
  const [, go] = useLocation();
  const query = useQuery({ queryKey: ['routers'], queryFn: api.routers, refetchInterval: REFRESH_MS });
  const isStale = query.error instanceof ApiError && query.error.isUnreachable;
  const routers = query.data ?? [];
  const wanted = name !== undefined && version !== undefined ? routerKey({ name, version }) : undefined;
  const chosen = wanted === undefined ? routers[0] : routers.find((router) => routerKey(router) === wanted);
  return (
    <Stack gap="lg" maw={1180} mx="auto">
      <PageHead title="Router" purpose="How well it chooses, measured on prompts that it was not fitted on.">
        {routers.length > 0 && (
          <Select
            aria-label="Router model"
            data={routerChoices(routers)}
            value={chosen ? routerKey(chosen) : null}
            allowDeselect={false}
            placeholder="Router model"
            w={{ base: '100%', xs: 320 }}
            onChange={(key) => {
              const router = routers.find((own) => routerKey(own) === key);
              if (router) go(`/router/${router.name}/${router.version}`);
            }}
          />
        )}
      </PageHead>
      {isStale && <Stale since={query.dataUpdatedAt === 0 ? undefined : new Date(query.dataUpdatedAt)} />}
      {query.error && !isStale && <Fault fault={query.error} onRetry={() => void query.refetch()} />}
      {query.isLoading && <Loading label="Asking for the router models" />}
      {query.data && routers.length === 0 && (
        <div className="card">
          <Empty icon={<IconChartDots3 size={22} />} title="No router models">
            None is registered, so <code>auto</code> finds no expert. Make one with{' '}
            <code>npx thalamus router train</code>.
          </Empty>
        </div>
      )}
      {query.data && wanted !== undefined && !chosen && routers.length > 0 && (
        <Fault fault={new ApiError(404, 'ROUTER_MODEL_NOT_FOUND', `There is no router model ${wanted}.`)} />
      )}
      {chosen && (
        <div className={query.error ? 'old' : undefined}>
          <Evaluation key={routerKey(chosen)} router={chosen} />
        </div>
      )}
    </Stack>
  );
}

function Evaluation({ router }: { readonly router: RouterRow }) {
  const { name, version } = router;
  const { data, error, isLoading, refetch } = useQuery({
    queryKey: ['evaluation', name, version],
    queryFn: () => api.evaluation(name, version),
    // A version never changes.
    staleTime: Infinity,
  });
  return (
    <Stack gap="lg">
      <About router={router} />
      {error && <Fault fault={error} onRetry={() => void refetch()} />}
      {isLoading && <Loading label="Reading its evaluation" />}
      {data === null && (
        <div className="card">
          <Empty icon={<IconReportAnalytics size={22} />} title="Not judged yet">
            Its bundle holds no evaluation. Judge a router before it is registered:{' '}
            <code>npx thalamus router evaluate --save</code>.
          </Empty>
        </div>
      )}
      {data && <RouterBoard report={data} />}
    </Stack>
  );
}

function About({ router }: { readonly router: RouterRow }) {
  const { active, task, experts, hidden } = router;
  const how = active ? activationText(router) : undefined;
  return (
    <Group gap="xs">
      <Badge variant="light" color={active ? 'sage' : 'gray'} tt="none">
        {active ? `decides for ${task}` : `not active · ${task}`}
      </Badge>
      <Text size="sm" className="quiet">
        chooses among {experts.length} experts
        {hidden > 0 && `, ${hidden} of which this key may not use`}
      </Text>
      {how !== undefined && (
        <Text size="sm" className="quiet" data-testid="activation" w="100%">
          {how}
        </Text>
      )}
    </Group>
  );
}
