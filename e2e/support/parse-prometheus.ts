/** One family of a Prometheus text. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: readonly { readonly name: string; readonly labels: string; readonly value: number }[];
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const SAMPLE = new RegExp(`^(${NAME})(\\{${LABEL}(?:,${LABEL})*\\})? ([-+]?(?:[0-9.eE+-]+|Inf)|NaN)$`);

/**
 * Reads the text format 0.0.4 strictly: HELP, then TYPE, then samples of that family alone, each family once, buckets
 * rising to `+Inf`, which equals the count. Throws with the line that breaks a rule.
 */
export function parsePrometheus(text: string): MetricFamily[] {
  const families: OpenFamily[] = [];
  if (!text.endsWith('\n')) throw new Error('The text does not end with a line feed.');
  const lines = text.slice(0, -1).split('\n').values();
  for (const line of lines) {
    if (line.startsWith('#')) {
      const family = openFamily(line, String(lines.next().value));
      if (families.some(({ name }) => name === family.name)) throw new Error(`Twice: ${family.name}`);
      families.push(family);
    } else addSample(families.at(-1), line);
  }
  for (const family of families) if (family.type === 'histogram') checkBuckets(family);
  return families;
}

type OpenFamily = MetricFamily & { readonly samples: { name: string; labels: string; value: number }[] };

function openFamily(help: string, type: string): OpenFamily {
  const [, name, words] = new RegExp(`^# HELP (${NAME}) (.+)$`).exec(help) ?? [];
  if (name === undefined || words === undefined) throw new Error(`No help: ${help}`);
  const kind = new RegExp(`^# TYPE ${name} (counter|gauge|histogram)$`).exec(type)?.[1];
  if (kind === undefined) throw new Error(`No type: ${type}`);
  return { name, help: words, type: kind, samples: [] };
}

function addSample(family: OpenFamily | undefined, line: string): void {
  const [, name, labels = '', value] = SAMPLE.exec(line) ?? [];
  if (family === undefined || name === undefined || value === undefined)
    throw new Error(`No sample: ${line}`);
  const suffixes = family.type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
  if (!suffixes.some((suffix) => name === family.name + suffix)) throw new Error(`Astray: ${line}`);
  family.samples.push({ name, labels, value: Number(value.replace('Inf', 'Infinity')) });
}

function checkBuckets(family: MetricFamily): void {
  const rising = new Map<string, number>();
  for (const { name, labels, value } of family.samples) {
    const rest = labels.replace(/,?le="[^"]*"/, '').replace('{}', '');
    if (name.endsWith('_bucket')) {
      if (value < (rising.get(rest) ?? 0)) throw new Error(`Buckets of ${family.name}${rest} fall.`);
      rising.set(rest, value);
    } else if (name.endsWith('_count') && rising.get(rest) !== value)
      throw new Error(`The count of ${family.name}${rest} is not its last bucket.`);
  }
}
