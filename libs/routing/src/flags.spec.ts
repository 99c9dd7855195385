import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { mergeFlags, parseFlags, parseModelName, printFlags, stripFlagTags } from './flags.js';

const faultOf = (work: () => unknown): ThalamusError => {
  try {
    work();
  } catch (fault) {
    if (ThalamusError.is(fault)) return fault;
    throw fault;
  }
  throw new Error('nothing was thrown');
};

describe('parseFlags', () => {
  it('reads weights, levels and limits', () => {
    expect(parseFlags(' size=0.5, cost<0.002 ,recency>30,latency=high, security:low')).toEqual([
      { name: 'size', kind: 'weight', value: 0.5 },
      { name: 'cost', kind: 'atMost', value: 0.002 },
      { name: 'recency', kind: 'atLeast', value: 30 },
      { name: 'latency', kind: 'level', level: 'high' },
      { name: 'security', kind: 'level', level: 'low' },
    ]);
    expect(parseFlags('')).toEqual([]);
    expect(parseFlags('  ')).toEqual([]);
  });

  it('takes a weight and both limits of one name, which do not contradict', () => {
    expect(printFlags(parseFlags('size=1,size<5,size>2'))).toBe('size=1,size<5,size>2');
  });

  it('takes "small" alone, the form of the Tryage paper, for a high weight on size', () => {
    expect(parseFlags('small')).toEqual([{ name: 'size', kind: 'level', level: 'high' }]);
  });

  it.each([
    ['size=1,size=2', 'size', 'given twice'],
    ['size=1,size=low', 'size', 'given twice'],
    ['cost<1, cost<2', 'cost', 'given twice'],
    ['speed=1', 'speed', 'unknown'],
    ['Size=1', 'Size=1', 'write name=weight'],
    ['size', 'size', 'write name=weight'],
    ['size=', 'size=', 'write name=weight'],
    ['size=0.5 cost=1', 'size=0.5 cost=1', 'write name=weight'],
    ['size=-1', 'size', 'not a number of 0 or more'],
    ['size=NaN', 'size', 'not a number of 0 or more'],
    ['size=Infinity', 'size', 'not a number of 0 or more'],
    ['size=1e999', 'size', 'not a number of 0 or more'],
    ['size=0x10', 'size', 'not a number of 0 or more'],
    ['size=tiny', 'size', 'not a number of 0 or more'],
    ['size<high', 'size', 'not a number of 0 or more'],
    ['size=1,,cost=1', 'size=1,,cost=1', 'between commas is empty'],
    ['size=1,', 'size=1,', 'between commas is empty'],
  ])('refuses %s and names %s', (text, named, reason) => {
    const fault = faultOf(() => parseFlags(text));
    expect(fault.code).toBe('FLAG_INVALID');
    expect(fault.message).toContain(`Flag "${named}"`);
    expect(fault.message).toContain(reason);
    expect(fault.violations[0]?.description).toContain(named);
  });

  it('names the key as a field, so that a form can mark it', () => {
    expect(faultOf(() => parseFlags('size=1,size=2')).violations[0]?.field).toBe('flags.size');
    expect(faultOf(() => parseFlags('speed=1')).violations[0]?.field).toBe('flags');
  });

  it('repeats no more than a few characters of a faulty flag', () => {
    expect(faultOf(() => parseFlags('x'.repeat(10_000))).message.length).toBeLessThan(200);
    expect(faultOf(() => parseFlags(`size=${'9'.repeat(10_000)}`)).message.length).toBeLessThan(200);
  });
});

describe('stripFlagTags', () => {
  it.each([
    ['[flag: size=0.8, recency=0.2] Hello', 'Hello', 'size=0.8,recency=0.2'],
    ['Hello [flags: cost=high]', 'Hello', 'cost=high'],
    ['  [FLAG:size=1]  Hello  ', 'Hello', 'size=1'],
    ['[flag: small] Hi', 'Hi', 'size=high'],
    ['[flag: size=1] Hi [flag: cost<2]', 'Hi', 'size=1,cost<2'],
    ['[flag: size=1]', '', 'size=1'],
    ['[flag: ] Hi', 'Hi', ''],
  ])('takes the tags off %s', (text, prompt, printed) => {
    const tagged = stripFlagTags(text);
    expect(tagged.prompt).toBe(prompt);
    expect(printFlags(tagged.flags)).toBe(printed);
  });

  it.each([
    'Say [flag: size=1] twice',
    'A list [1, 2]',
    '[note: size=1] Hello',
    '[flag size=1] Hello',
    'Hello [flag: size=1',
    ' two  spaces ',
    '',
  ])('leaves %j as it is', (text) => {
    expect(stripFlagTags(text)).toEqual({ prompt: text, flags: [] });
  });

  it('refuses tags that contradict each other, or that do not parse', () => {
    expect(faultOf(() => stripFlagTags('[flag: size=1] x [flag: size=2]')).message).toContain('twice');
    expect(faultOf(() => stripFlagTags('[flag: speed=1] x')).message).toContain('speed');
  });

  it('reads a megabyte of half-open tags in about the time of a megabyte of text', () => {
    const size = 1_000_000;
    const duration = (text: string) => {
      const times = Array.from({ length: 5 }, () => {
        const startedAt = performance.now();
        stripFlagTags(text);
        return performance.now() - startedAt;
      });
      return Math.min(...times);
    };
    const plain = duration('abcdef'.repeat(size / 6));
    // A quadratic search takes minutes here.
    expect(duration('[flag:'.repeat(size / 6))).toBeLessThan(100 * Math.max(plain, 0.5));
    expect(duration(`[flag: size=1]${' '.repeat(size)}x`)).toBeLessThan(100 * Math.max(plain, 0.5));
  });
});

describe('parseModelName and mergeFlags', () => {
  it('splits flags off auto, and off nothing else', () => {
    expect(parseModelName('auto:size=0.5,cost<2')).toEqual({
      model: 'auto',
      flags: parseFlags('size=0.5,cost<2'),
    });
    for (const name of ['auto', 'auto:', 'banking77@1', 'compose:a+b'])
      expect(parseModelName(name)).toEqual({ model: name, flags: [] });
    expect(faultOf(() => parseModelName('auto:speed=1')).code).toBe('FLAG_INVALID');
  });

  it('lets the stronger source win by name and form', () => {
    const [body, header, model, tag] = [
      'size=1',
      'size=2,cost=2',
      'cost=3,recency=3',
      'recency=4,size<4',
    ].map((text) => parseFlags(text));
    expect(printFlags(mergeFlags(body!, header!, model!, tag!))).toBe('size=1,cost=2,recency=3,size<4');
  });
});
