import { describe, expect, it } from 'vitest';
import { requireApart } from './new-folder.js';

describe('requireApart', () => {
  it.each([
    ['/tmp/back', '/tmp/back'],
    ['/tmp/back', '/tmp/back/T.jsonl'],
    ['/tmp/T.jsonl/back', '/tmp/T.jsonl'],
  ])('refuses the folder %s with the file %s, and names both', (out, file) => {
    expect(() => requireApart(out, file, '--table')).toThrow(`--table ${file} and --out ${out}`);
  });

  it.each(['/tmp/back.jsonl', '/tmp/T.jsonl', '/other/back'])('takes %s beside /tmp/back', (file) => {
    expect(() => requireApart('/tmp/back', file, '--table')).not.toThrow();
  });
});
