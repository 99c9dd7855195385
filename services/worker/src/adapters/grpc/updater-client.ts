import type { DescService } from '@bufbuild/protobuf';
import { ThalamusError } from '@thalamus/errors';
import { createClient, type RpcClient } from '@thalamus/grpc';

/** A client of one service of the updater that finds the elected writer: NOT_LEADER names it. */
export class UpdaterClient<S extends DescService> {
  private readonly home: RpcClient<S>;
  private leader: RpcClient<S> | undefined;

  constructor(
    private readonly service: S,
    address: string,
    private readonly defaultDeadlineMs: number,
  ) {
    this.home = createClient(service, { address, defaultDeadlineMs });
  }

  /** Calls the writer as far as it is known; asks once more where NOT_LEADER points to. */
  async call<T>(work: (client: RpcClient<S>) => Promise<T>): Promise<T> {
    const first = this.leader ?? this.home;
    try {
      return await work(first);
    } catch (fault) {
      if (!ThalamusError.is(fault)) throw fault;
      const address = fault.code === 'NOT_LEADER' ? (fault.metadata['leader'] ?? '') : '';
      if (address !== '' && address !== first.address) return work(this.follow(address));
      // A writer that has gone is forgotten, so that the next call asks at the known address again.
      if (fault.code === 'UPSTREAM_UNAVAILABLE' || fault.code === 'NOT_LEADER') this.forget();
      throw fault;
    }
  }

  close(): void {
    this.forget();
    this.home.close();
  }

  private follow(address: string): RpcClient<S> {
    this.forget();
    const { service, defaultDeadlineMs } = this;
    this.leader = createClient(service, { address, defaultDeadlineMs });
    return this.leader;
  }

  private forget(): void {
    this.leader?.close();
    this.leader = undefined;
  }
}
