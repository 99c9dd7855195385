import { ThalamusError } from '@thalamus/errors';

/** Most bytes of a line: what bounds the memory for a file without line ends. */
const MAX_LINE_BYTES = 4 * 2 ** 20;
const LINE_FEED = 10;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** Takes a line: its bytes are `bytes[from..to)`, its number counts from 1. */
export type TakeLine = (bytes: Uint8Array, from: number, to: number, number: number) => void;

/**
 * Cuts a file that comes in pieces into lines, on `\n` only, and gives each with its number. A byte order mark at the start is passed
 * over. Memory: the longest line.
 */
export class LineReader {
  private rest = new Uint8Array(0);
  private lines = 0;

  constructor(
    private readonly file: string,
    private readonly take: TakeLine,
  ) {}

  /** @throws DATASET_INVALID for a line that is too long */
  push(bytes: Uint8Array): void {
    let from = 0;
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, from)) {
      if (from === 0 && this.rest.length > 0) {
        const line = joined(this.rest, bytes.subarray(0, end));
        this.rest = new Uint8Array(0);
        this.line(line, 0, line.length);
      } else this.line(bytes, from, end);
      from = end + 1;
    }
    if (from === bytes.length) return;
    this.rest = joined(this.rest, bytes.subarray(from));
    if (this.rest.length > MAX_LINE_BYTES) throw this.tooLong(this.lines + 1);
  }

  /** What follows the last line end is a line too. */
  end(): void {
    if (this.rest.length > 0) this.line(this.rest, 0, this.rest.length);
    this.rest = new Uint8Array(0);
  }

  private line(bytes: Uint8Array, from: number, to: number): void {
    this.lines += 1;
    if (to - from > MAX_LINE_BYTES) throw this.tooLong(this.lines);
    const isMarked = this.lines === 1 && BYTE_ORDER_MARK.every((byte, at) => bytes[from + at] === byte);
    this.take(bytes, isMarked ? from + BYTE_ORDER_MARK.length : from, to, this.lines);
  }

  private tooLong(line: number): ThalamusError {
    return new ThalamusError(
      'DATASET_INVALID',
      `${this.file}, line ${line} has more than ${MAX_LINE_BYTES} bytes; give one JSON object a line.`,
    );
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
