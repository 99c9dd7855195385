import { readFileSync } from 'node:fs';

/** A command block of a page. */
export interface Block {
  /** Line of the page at which it begins, from 1. */
  readonly line: number;
  readonly script: string;
  /** Lines that its output must hold, in this order; `…` stands for anything within a line. */
  readonly expected: readonly string[];
}

/** Which blocks of a page are executed. */
export type Choice = 'every sh block' | 'marked sh blocks';

/** Before a block that is executed on a page where not every one is. */
const MARK = '<!-- docs:test -->';

/**
 * The blocks of a Markdown page that are executed: those fenced as `sh`. A block fenced as `output` right after one holds
 * what it must print. Blocks of other kinds, such as `console`, are for people alone.
 */
export function readBlocks(path: string, choice: Choice): Block[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  const blocks: { line: number; script: string; expected: string[] }[] = [];
  let open: { kind: string; line: number; text: string[] } | undefined;
  let marked = false;
  for (const [index, line] of lines.entries()) {
    if (open && line === '```') {
      const { kind, line: at, text } = open;
      const last = blocks.at(-1);
      if (kind === 'sh' && (marked || choice === 'every sh block'))
        blocks.push({ line: at, script: text.join('\n'), expected: [] });
      else if (kind === 'output' && last) last.expected.push(...text.filter((item) => item !== ''));
      else if (kind === 'output') throw new Error(`${path}:${at}: output of no block.`);
      open = undefined;
      marked = false;
    } else if (open) open.text.push(line);
    else if (line.startsWith('```')) open = { kind: line.slice(3), line: index + 1, text: [] };
    else if (line === MARK) marked = true;
  }
  if (open) throw new Error(`${path}:${open.line}: the block has no end.`);
  return blocks;
}

/** The expected lines that an output does not hold in their order. */
export function missingLines(output: string, expected: readonly string[]): string[] {
  const lines = output.split('\n').map(squeeze);
  let from = 0;
  return expected.filter((wanted) => {
    const pattern = new RegExp(squeeze(wanted).split('…').map(escape).join('.*'));
    const at = lines.findIndex((line, index) => index >= from && pattern.test(line));
    if (at >= 0) from = at + 1;
    return at < 0;
  });
}

/** Columns of tables move with their widest entry: white space counts as one. */
function squeeze(line: string): string {
  return line.trim().replace(/\s+/g, ' ');
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
