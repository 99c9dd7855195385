import { Stack, Text, Title } from '@mantine/core';
import { IconScale } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { api, ApiError } from '../../api/client.js';
import type { Policy } from '../../api/types.js';
import { PageHead } from '../../layout/page-head.js';
import { Empty } from '../../states/empty.js';
import { Fault } from '../../states/fault.js';
import { Loading } from '../../states/loading.js';
import { Stale } from '../../states/stale.js';
import { policyFacts } from './policy-facts.js';

const REFRESH_MS = 10_000;

/** What each tenant may do. For administrators. */
export function PoliciesPage() {
  const query = useQuery({ queryKey: ['policies'], queryFn: api.policies, refetchInterval: REFRESH_MS });
  const isAway = query.error instanceof ApiError && query.error.isUnreachable;
  return (
    <Stack gap="lg" maw={1180} mx="auto">
      <PageHead
        title="Policies"
        purpose="What each tenant may do; the policy of default holds for tenants without one."
      />
      {isAway && <Stale since={query.data && new Date(query.dataUpdatedAt)} />}
      {query.error && !isAway && <Fault fault={query.error} onRetry={() => void query.refetch()} />}
      {query.isLoading && <Loading label="Reading the registry" />}
      {query.data?.length === 0 && (
        <div className="card">
          <Empty icon={<IconScale size={22} />} title="No policies">
            Nobody is limited. <code>PUT /admin/v1/policies/{'{tenant}'}</code> limits experts, licences, rate
            and size for a tenant.
          </Empty>
        </div>
      )}
      {query.data?.map((policy) => (
        <PolicyCard key={policy.tenant} policy={policy} />
      ))}
    </Stack>
  );
}

function PolicyCard({ policy }: { readonly policy: Policy }) {
  const facts = policyFacts(policy);
  return (
    <section className="card" aria-label={`Policy of ${policy.tenant}`}>
      <Title order={2} size="h4" mb="xs">
        {policy.tenant}
      </Title>
      <dl className="policy">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {policy.updatedAt !== null && (
        <Text size="xs" className="quiet" mt="sm">
          Written {new Date(policy.updatedAt).toLocaleString('en-GB')} by {policy.updatedBy}
        </Text>
      )}
    </section>
  );
}
