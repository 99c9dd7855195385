// The contracts of two versions, as a release of gate-releases.json says, and what differs between them.
import { compareContracts } from '@thalamus/compatibility';

/** Differences that the gate looks at. */
export function contractDifferences({ contract: change = {}, labels }) {
  const before = {
    task: 'text-classification',
    labels: Array.from({ length: labels }, (_, at) => `label-${at}`),
    inputs: [{ name: 'input_ids', dataType: 'int64', shape: ['batch', 'sequence'] }],
    outputs: [{ name: 'logits', dataType: 'float32', shape: ['batch', labels] }],
    tokenizer: {
      digest: 'sha256:1',
      probe: [
        [101, 7592, 102],
        [101, 2088, 102],
      ],
    },
    maxTokens: 256,
    dtype: 'float32',
    licence: 'Apache-2.0',
    lineage: { kind: 'probe', base: 'sha256:a' },
  };
  const after = structuredClone(before);
  for (const [what, value] of Object.entries(change)) CHANGES[what](after, value);
  return compareContracts(before, after);
}

const CHANGES = {
  swapLabels: ({ labels }, [one, other]) => ([labels[one], labels[other]] = [labels[other], labels[one]]),
  tokenizer: (contract, value) => {
    contract.tokenizer.digest = 'sha256:2';
    if (value === 'other ids') contract.tokenizer.probe[1] = [101, 2088, 999, 102];
  },
  maxTokens: (contract, value) => (contract.maxTokens = value),
  base: ({ lineage }) => (lineage.base = 'sha256:b'),
  dtype: (contract, value) => (contract.dtype = value),
  inputType: ({ inputs }, value) => (inputs[0].dataType = value),
  outputAdded: ({ outputs }) =>
    outputs.push({ name: 'embedding', dataType: 'float32', shape: ['batch', 384] }),
};
