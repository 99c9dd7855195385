// The ten sets of the zoo and what may be said of them. Licences and origins are repeated in every manifest.
import { createHash } from 'node:crypto';

export const TASKS = [
  {
    set: 'banking77',
    expert: 'banking77',
    licence: 'CC-BY-4.0',
    origin: 'PolyAI-LDN/task-specific-datasets',
    description: 'Intents of customers of an online bank, 77 kinds.',
    version: '3',
    date: '2026-11-29',
    tries: ['5e-4', 'head 0.3, 1e-3', 'head 0.5 at 2e-3, 1e-3'],
  },
  {
    set: 'clinc150',
    expert: 'clinc150',
    licence: 'CC-BY-3.0',
    origin: 'clinc/oos-eval',
    description: 'Requests to a personal assistant, 150 intents in ten domains.',
  },
  {
    set: 'clinc10_domain',
    expert: 'clinc10-domain',
    licence: 'CC-BY-3.0',
    origin: 'clinc/oos-eval',
    description: 'Domain of a request to a personal assistant, ten of them.',
    // The texts of clinc150 with coarser labels: one of the two is enough for a router that chooses by text.
    routed: false,
    version: '3',
    date: '2026-11-29',
    tries: ['5e-4', 'head 0.3, 1e-3'],
  },
  {
    set: 'snips7',
    expert: 'snips7',
    licence: 'CC0-1.0',
    origin: 'sonos/nlu-benchmark',
    description: 'Voice-assistant commands, seven intents.',
  },
  {
    set: 'cuad_clause20',
    expert: 'cuad-clause20',
    licence: 'CC-BY-4.0',
    origin: 'HazyResearch/legalbench (CUAD, The Atticus Project)',
    description: 'Kinds of clauses in commercial contracts, the twenty commonest.',
    version: '3',
    date: '2026-11-29',
    tries: ['5e-4', 'head 0.3, 1e-3'],
  },
  {
    set: 'unfair_tos',
    expert: 'unfair-tos',
    licence: 'CC-BY-4.0',
    origin: 'HazyResearch/legalbench',
    description: 'Potentially unfair sentences in terms of service, nine kinds.',
  },
  {
    set: 'overruling',
    expert: 'overruling',
    licence: 'CC-BY-4.0',
    origin: 'HazyResearch/legalbench',
    description: 'Whether a sentence of a court decision overrules an earlier one.',
  },
  {
    set: 'clinical_section20',
    expert: 'clinical-section20',
    licence: 'CC-BY-4.0',
    origin: 'abachaa/MTS-Dialog',
    description: 'Section of the clinical note that a doctor-patient dialogue belongs to.',
  },
  {
    set: 'scicite3',
    expert: 'scicite3',
    licence: 'Apache-2.0',
    origin: 'allenai/scibert',
    description: 'Why a scientific paper cites another: background, method or result.',
  },
  {
    set: 'mmlu_domain14',
    expert: 'mmlu-domain14',
    licence: 'MIT',
    origin: 'MMLU',
    description: 'Academic field of an exam question, fourteen fields.',
  },
];

/** The sets whose experts the router chooses among. */
export const ROUTED_TASKS = TASKS.filter(({ routed }) => routed !== false);

/** Rows of the train file by use, decided by a hash of the text: the same text is never in two parts. */
export const SPLIT_RULE = { expert: 70, router: 15, validation: 15 };

/** Rows of each committed sample. */
export const SAMPLE_ROWS = 200;

const hex = (text) => createHash('sha256').update(text).digest('hex');

/** Most rows of a committed file that routers are fitted on. */
export const ROUTER_ROWS = 350;

/** The rows of a committed sample: those whose texts have the smallest hashes. */
export function sampleOf(rows, most = SAMPLE_ROWS) {
  return rows
    .map((row) => ({ row, key: hex(row.text) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .slice(0, most)
    .map(({ row }) => row);
}

/** Id of a row in the loss table: the text itself is not in it. */
export const rowId = (set, text) => `${set}:${hex(text).slice(0, 16)}`;
