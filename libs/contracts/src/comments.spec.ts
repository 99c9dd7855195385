import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const proto = fileURLToPath(new URL('../../../proto/thalamus', import.meta.url));

/** Endings that name a unit; a number without one must have its unit, or that it has none, in the comment. */
const UNIT_IN_NAME =
  /_(ms|seconds|bytes|nats|tokens|count|percent|at|revision|version|number|index|rows|characters|usd|per_mtok|per_second)$/;

describe('schemas', () => {
  const files = readdirSync(proto, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.proto'))
    .map((name) => join(proto, name));

  it('comment every field and RPC, so that a caller need not read a server', () => {
    expect(files.length).toBeGreaterThanOrEqual(8);
    const bare: string[] = [];
    for (const file of files) {
      const lines = readFileSync(file, 'utf8').split('\n');
      lines.forEach((line, index) => {
        const declares = /^\s*(rpc|message|service|enum|oneof)\s+\w+/.test(line) || FIELD.test(line);
        if (declares && !/^\s*\/\//.test(lines[index - 1] ?? '') && !line.includes('//'))
          bare.push(`${file.slice(proto.length + 1)}:${index + 1} ${line.trim()}`);
      });
    }
    expect(bare).toEqual([]);
  });

  it('say the unit of every duration, size and loss, in the name or in the comment', () => {
    const without: string[] = [];
    for (const file of files) {
      const lines = readFileSync(file, 'utf8').split('\n');
      lines.forEach((line, index) => {
        const name = /^\s*(?:optional |repeated )?(?:double|float)\s+(\w+)\s*=/.exec(line)?.[1];
        if (name === undefined || UNIT_IN_NAME.test(name)) return;
        let comment = '';
        for (let at = index - 1; /^\s*\/\//.test(lines[at] ?? ''); at--) comment = `${lines[at]} ${comment}`;
        if (!UNIT_IN_COMMENT.test(comment + line))
          without.push(`${file.slice(proto.length + 1)}:${index + 1} ${name}`);
      });
    }
    expect(without).toEqual([]);
  });
});

const FIELD = /^\s+(?:optional |repeated )?(?:map<[^>]+>|[\w.]+)\s+\w+\s*=\s*\d+\s*[;[]/;
const UNIT_IN_COMMENT = /nats|unit|seconds|bytes|USD|0 and 1|from 0|0 to 1|share|p-value|scale|ratio/i;
