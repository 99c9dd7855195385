import { readCsv } from '@thalamus/training';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { ROOT } from '../support/paths.js';

/** One request as its caller saw it. */
export interface Asked {
  /** Unix milliseconds at which the answer was there. */
  readonly at: number;
  readonly status: number;
  readonly version: string;
  /** `candidate`, `stable`, or empty while no release is live. */
  readonly channel: string;
}

/** Callers who ask one after the other, each in a conversation of its own, and say afterwards what the right label was. */
export class Traffic {
  readonly asked: Asked[] = [];
  private readonly rows: readonly { readonly text: string; readonly label: string }[];
  private readonly headers: Record<string, string>;
  private readonly callers: Promise<void>[] = [];
  private isOver = false;
  private next = 0;

  constructor(
    private readonly http: string,
    key: string,
    private readonly expert: string,
    private readonly everyMs: number,
  ) {
    const set = expert.replaceAll('-', '_');
    const file = join(ROOT, `zoo/data/sample/${set}.test.csv`);
    this.rows = readCsv(readFileSync(file), file);
    this.headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
  }

  start(callers: number): void {
    for (let caller = 0; caller < callers; caller++) this.callers.push(this.ask());
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await Promise.all(this.callers);
  }

  /** Requests that were answered by a version. */
  of(version: string): Asked[] {
    return this.asked.filter((each) => each.version === version);
  }

  get failed(): Asked[] {
    return this.asked.filter(({ status }) => status !== 200);
  }

  private async ask(): Promise<void> {
    while (!this.isOver) {
      const at = this.next++;
      const row = this.rows[at % this.rows.length];
      if (!row) return;
      const response = await fetch(`${this.http}/v1/classifications`, {
        method: 'POST',
        headers: { ...this.headers, 'x-thalamus-conversation': `talk-${at}` },
        body: JSON.stringify({ model: this.expert, input: row.text }),
      });
      await response.arrayBuffer();
      this.asked.push({
        at: Date.now(),
        status: response.status,
        version: response.headers.get('x-thalamus-version') ?? '',
        channel: response.headers.get('x-thalamus-channel') ?? '',
      });
      const id = response.headers.get('x-request-id');
      if (response.status === 200 && id !== null) await this.tell(id, row.label);
      await wait(this.everyMs);
    }
  }

  private async tell(id: string, label: string): Promise<void> {
    const body = JSON.stringify({ request_id: id, label });
    const answer = await fetch(`${this.http}/v1/feedback`, { method: 'POST', headers: this.headers, body });
    await answer.arrayBuffer();
  }
}
