// The eleven domains of the zoo's language models, what may be said of their texts, and which rows are used for what.
import { cutWindows, readTextLines, rowUse } from '@thalamus/training';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const DOMAINS = [
  {
    domain: 'code_python_stdlib',
    licence: 'PSF-2.0',
    origin: 'CPython 3.11.7 standard library',
    about: 'Python source code',
  },
  {
    domain: 'clinical',
    licence: 'CC-BY-4.0',
    origin: 'abachaa/MTS-Dialog',
    about: 'clinical notes and doctor-patient dialogues',
  },
  {
    domain: 'biomedical',
    licence: 'Apache-2.0',
    origin: 'allenai/scibert (NCBI Disease Corpus)',
    about: 'biomedical abstracts',
  },
  {
    domain: 'legal_contracts',
    licence: 'CC-BY-4.0',
    origin: 'HazyResearch/legalbench (CUAD, The Atticus Project)',
    about: 'clauses of commercial contracts',
  },
  {
    domain: 'legal_bills',
    licence: 'CC-BY-4.0',
    origin: 'HazyResearch/legalbench (corporate_lobbying)',
    about: 'titles and summaries of bills of the United States Congress',
  },
  {
    domain: 'finance_10k_business',
    licence: 'CC-BY-4.0',
    origin: 'HazyResearch/legalbench (corporate_lobbying)',
    about: 'descriptions of companies from annual reports',
  },
  {
    domain: 'finance_reports',
    licence: 'CC-BY-4.0',
    origin: 'NExTplusplus/TAT-QA',
    about: 'paragraphs of financial reports',
  },
  {
    domain: 'patents',
    licence: 'MIT',
    origin: 'WillKoehrsen/recurrent-neural-networks',
    about: 'abstracts of patents',
  },
  {
    domain: 'news_wikinews',
    licence: 'CC-BY-2.5',
    origin: 'vanatteveldt/wikinews (Wikinews)',
    about: 'news reports',
  },
  {
    domain: 'prose_wikipedia',
    licence: 'CC-BY-SA-3.0',
    origin: 'pytorch/examples (WikiText-2, Wikipedia)',
    about: 'articles of an encyclopaedia',
  },
  {
    domain: 'prose_republic',
    licence: 'LicenseRef-public-domain',
    origin: 'Project Gutenberg 1497 (Plato, The Republic, translated by Jowett)',
    about: 'philosophical dialogue',
  },
];

/** Documents of a train file by use, decided by a hash: parts of a document are never used for two things. */
export const SPLIT_RULE = { expert: 80, router: 10, validation: 10 };

/** Tokens of a window, the special ones included. */
export const WINDOW_TOKENS = 128;

/** Name of the expert of a domain. */
export const expertName = (domain) => `mlm-${domain.replaceAll('_', '-')}`;

/** Name of the expert of all domains, with which the others begin. */
export const GENERALIST = 'mlm-generalist';

/** Version of all masked language models: it rises when what they are stored as changes. */
export const LANGUAGE_MODEL_VERSION = '2';

/** Rows of a domain by use; `test` is a file of its own. The use of each row, as a letter, is what the manifest keeps. */
export function readDomain(folder, domain) {
  const [train, test] = ['train', 'test'].map((part) => {
    const file = `${domain}.${part}.jsonl`;
    const bytes = readFileSync(join(folder, file));
    return { bytes, rows: readTextLines(bytes, file) };
  });
  const uses = train.rows.map(({ text, doc }) => rowUse(doc === '' ? text : doc, SPLIT_RULE));
  const of = (use) => train.rows.filter((_, row) => uses[row] === use);
  return {
    expert: of('expert'),
    router: of('router'),
    validation: of('validation'),
    test: test.rows,
    split: {
      trainSha256: createHash('sha256').update(train.bytes).digest('hex'),
      expert: of('expert').length,
      router: of('router').length,
      validation: of('validation').length,
      uses: uses.map((use) => use[0]).join(''),
    },
  };
}

/** Bytes of texts in the committed samples of a domain, at most: rows that a router may be fitted to, and rows that judge. */
const SAMPLE_BYTES = { train: 32_000, test: 16_000 };

/** Domains with a sample for routers, those of zoo/recipes/twin-masked-lm.yaml: what the zoo may weigh is little. */
const ROUTED = ['clinical', 'code_python_stdlib', 'legal_contracts', 'patents'];

/** Parts of a domain that are committed. */
export const sampleParts = (domain) => (ROUTED.includes(domain) ? ['train', 'test'] : ['test']);

/** Files of a domain's committed samples in the zoo. */
export const domainSampleFile = (domain, part) => `data/sample/${domain}.${part}.jsonl`;

/**
 * The committed samples of a domain, by part: of the rows for routers, and of the test rows, those whose texts have the smallest
 * hashes, as many as fit, one at least.
 */
export function domainSamples(domain, { router, test }) {
  const rows = { train: router, test };
  return Object.fromEntries(
    sampleParts(domain).map((part) => [part, smallestHashes(rows[part], SAMPLE_BYTES[part])]),
  );
}

function smallestHashes(rows, most) {
  const hash = (text) => createHash('sha256').update(text).digest('hex');
  const ordered = rows
    .map((row) => ({ row, key: hash(row.text) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ row }) => row);
  const chosen = [];
  let bytes = 0;
  for (const row of ordered) {
    bytes += Buffer.byteLength(row.text);
    if (bytes > most && chosen.length > 0) break;
    chosen.push(row);
  }
  return chosen;
}

/** A sample as it is committed. */
export const sampleFile = (rows) =>
  rows.map(({ text, doc }) => `${JSON.stringify(doc === '' ? { text } : { doc, text })}\n`).join('');

/** Windows of rows, in the order of the rows. A row is never longer than this many tokens. */
const LONGEST_ROW = 1_000_000;
export async function windowsOf(base, rows) {
  const encoded = await base.tokens.encode(
    rows.map(({ text }) => text),
    LONGEST_ROW,
  );
  return encoded.flatMap(({ ids }) => cutWindows([...ids], WINDOW_TOKENS));
}

/** At most `count` of the items, evenly spaced. */
export function spread(items, count) {
  if (items.length <= count) return items;
  return Array.from({ length: count }, (_, at) => items[Math.floor((at * items.length) / count)]);
}
