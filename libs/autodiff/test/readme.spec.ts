import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as autodiff from '../src/index.js';

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

/** Names in backquotes in the first column of the table under a heading. */
function named(heading: string): string[] {
  const section = README.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| `'));
  return rows.flatMap((row) => [...row.split('|')[1]!.matchAll(/`(\w+)`/g)].map(([, name]) => name!)).sort();
}

describe('the README', () => {
  it('names every operator that has a gradient, and no other', () => {
    expect(named('Operators')).toEqual([...autodiff.DIFFERENTIABLE_OPERATORS]);
  });

  it('names every loss, and no other', () => {
    const losses = Object.keys(autodiff).filter((name) => name.startsWith('write'));
    expect(named('Losses')).toEqual(losses.sort());
  });

  it('names every optimiser, and no other', () => {
    const steps = Object.keys(autodiff).filter((name) => /^(?!training).*Step$/.test(name));
    expect(named('Optimiser steps')).toEqual(steps.sort());
  });
});
