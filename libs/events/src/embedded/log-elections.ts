import { ThalamusError } from '@thalamus/errors';
import type { LogDatabase } from './log-database.js';

/** Result of an attempt to lead. */
export interface Leadership {
  readonly leader: string;
  readonly term: bigint;
  /** True when the asker leads. */
  readonly held: boolean;
}

/** Says under which leadership a write is made. */
export interface Fence {
  readonly role: string;
  readonly holder: string;
  readonly term: bigint;
}

interface LeaderRow {
  readonly holder: string;
  readonly candidate: string;
  readonly term: number;
  readonly lease: number;
}

/** Elections: one lease row a role, and a term that rises with each change of hands. */
export class LogElections {
  constructor(private readonly database: LogDatabase) {}

  /** Asks for, or renews, the leadership of a role. */
  campaign(role: string, holder: string, candidate: string, leaseMs: number): Leadership {
    const now = Date.now();
    return this.database.transaction(() => {
      const row = this.row(role);
      if (row && row.holder !== holder && row.lease >= now)
        return { leader: row.candidate, term: BigInt(row.term), held: false };
      const term = row?.holder === holder && row.lease > 0 ? row.term : (row?.term ?? 0) + 1;
      this.database.run(
        'INSERT INTO leaders (role, holder, candidate, term, lease_until) VALUES (?, ?, ?, ?, ?) ON CONFLICT (role) DO UPDATE SET holder = excluded.holder, candidate = excluded.candidate, term = excluded.term, lease_until = excluded.lease_until',
        role,
        holder,
        candidate,
        term,
        now + leaseMs,
      );
      return { leader: candidate, term: BigInt(term), held: true };
    });
  }

  /** Ends a leadership so that another may be elected at once. */
  resign(role: string, holder: string): void {
    this.database.transaction(() =>
      this.database.run('UPDATE leaders SET lease_until = 0 WHERE role = ? AND holder = ?', role, holder),
    );
  }

  /** Inside the transaction of a write. @throws LEADERSHIP_LOST when another has been elected since. */
  check(fence: Fence): void {
    const row = this.row(fence.role);
    if (row?.holder === fence.holder && BigInt(row.term) === fence.term) return;
    throw new ThalamusError(
      'LEADERSHIP_LOST',
      `${row?.candidate ?? 'Nobody'} now leads ${fence.role}; send the write there.`,
      { metadata: { leader: row?.candidate ?? '' } },
    );
  }

  private row(role: string): LeaderRow | undefined {
    return this.database
      .prepare('SELECT holder, candidate, term, lease_until AS lease FROM leaders WHERE role = ?')
      .get(role) as LeaderRow | undefined;
  }
}
