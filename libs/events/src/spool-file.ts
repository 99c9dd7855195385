import { createLogger } from '@thalamus/telemetry';
import { appendFile, mkdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { BusRecord } from './event-bus.port.js';

/** The file of a spool: one record a line, appended in order. Records that were published or dropped meanwhile may still be in it. */
export class SpoolFile {
  private readonly logger = createLogger('spool');
  private lineCount = 0;
  private byteCount = 0;

  constructor(private readonly path: string) {}

  /** Lines in the file. */
  get lines(): number {
    return this.lineCount;
  }

  /** Records that an earlier process left. Damaged lines are moved to a file beside it, never silently dropped. */
  async load(): Promise<BusRecord[]> {
    await mkdir(dirname(this.path), { recursive: true });
    const text = await readFile(this.path, 'utf8').catch((fault: unknown) => {
      if ((fault as NodeJS.ErrnoException).code === 'ENOENT') return '';
      throw fault;
    });
    const records: BusRecord[] = [];
    let damaged = 0;
    for (const line of text.split('\n').filter((candidate) => candidate !== '')) {
      const record = fromLine(line);
      if (record) records.push(record);
      else {
        damaged += 1;
        await appendFile(`${this.path}.damaged`, `${line}\n`);
      }
    }
    if (damaged > 0) {
      this.logger.error(
        { file: `${this.path}.damaged`, damaged },
        'damaged lines of the spool were moved aside',
      );
      await this.replace(records);
    }
    this.lineCount = records.length;
    this.byteCount = Buffer.byteLength(text);
    return records;
  }

  /** Appends records; all of them or none, also on a full disk. @throws what the file system says. */
  async append(records: readonly BusRecord[]): Promise<void> {
    const text = records.map(toLine).join('');
    try {
      await appendFile(this.path, text);
    } catch (fault) {
      // A torn line would spoil the next one as well.
      await truncate(this.path, this.byteCount).catch(() => undefined);
      throw fault;
    }
    this.byteCount += Buffer.byteLength(text);
    this.lineCount += records.length;
  }

  /** Puts the records in place of all that the file has. */
  async replace(records: readonly BusRecord[]): Promise<void> {
    if (records.length === 0) await rm(this.path, { force: true });
    else {
      await writeFile(`${this.path}.tmp`, records.map(toLine).join(''));
      await rename(`${this.path}.tmp`, this.path);
    }
    this.lineCount = records.length;
    this.byteCount = records.reduce((sum, record) => sum + Buffer.byteLength(toLine(record)), 0);
  }
}

function toLine(record: BusRecord): string {
  const value = record.value === null ? null : Buffer.from(record.value).toString('base64');
  return `${JSON.stringify({ ...record, value })}\n`;
}

function fromLine(line: string): BusRecord | undefined {
  try {
    const { topic, key, value, headers } = JSON.parse(line) as Partial<
      Omit<BusRecord, 'value'> & { value: string | null }
    >;
    if (typeof topic !== 'string' || typeof key !== 'string' || typeof headers !== 'object') return undefined;
    if (typeof value !== 'string' && value !== null) return undefined;
    return {
      topic,
      key,
      headers,
      value: value === null ? null : new Uint8Array(Buffer.from(value, 'base64')),
    };
  } catch {
    return undefined;
  }
}
