import type { ManageExperts } from '../../application/admin/manage-experts.js';
import type { ManageKeys } from '../../application/admin/manage-keys.js';
import type { ManagePolicies } from '../../application/admin/manage-policies.js';
import type { ManageReleases } from '../../application/admin/manage-releases.js';
import type { DescribeCompositions } from '../../application/describe-compositions.js';
import type { DescribeExperts } from '../../application/describe-experts.js';
import type { DescribeHosts } from '../../application/describe-hosts.js';
import type { DescribeRouters } from '../../application/describe-routers.js';
import type { DescribeTraining } from '../../application/describe-training.js';
import type { WatchTraffic } from '../../application/watch-traffic.js';

/** Nest token of what the admin API needs. */
export const ADMIN_USE_CASES = Symbol('thalamus.gateway.admin-use-cases');

/** What the admin API is made of. */
export interface AdminUseCases {
  readonly describeExperts: DescribeExperts;
  readonly describeHosts: DescribeHosts;
  readonly describeTraining: DescribeTraining;
  readonly describeRouters: DescribeRouters;
  readonly describeCompositions: DescribeCompositions;
  readonly watchTraffic: WatchTraffic;
  readonly manageExperts: ManageExperts;
  readonly managePolicies: ManagePolicies;
  readonly manageKeys: ManageKeys;
  readonly manageReleases: ManageReleases;
  /** Fires when the HTTP server begins to drain: what has no end of its own ends then. */
  readonly draining: AbortSignal;
}
