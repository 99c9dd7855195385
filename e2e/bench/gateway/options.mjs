import { parseArgs } from 'node:util';
import { PEERS } from './peers.mjs';

export const USAGE = `npm run bench:gateway [-- options]
  --rounds <n>      rounds; in each every contender has its turn at every concurrency (default 5)
  --seconds <n>     length of a turn, after a warm-up of a third of it (default 3)
  --peers <names>   who is measured beside us, of ${Object.keys(PEERS).join(', ')}; "none" for nobody (default all)
  --profile <folder> CPU profiles of every process of Thalamus; its figures are then not to be kept
  --out <folder>    where raw data and table go (default: docs/results)
  --json            the summary as JSON on standard output`;

/** Reads the command line. Throws an error that says what is wrong with it. */
export function readOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
      peers: { type: 'string', default: Object.keys(PEERS).join(',') },
      profile: { type: 'string' },
      out: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100)
    throw new Error(`--rounds is "${values.rounds}"; it must be a whole number from 1 to 100.`);
  const seconds = Number(values.seconds);
  if (!(seconds >= 0.5 && seconds <= 120))
    throw new Error(`--seconds is "${values.seconds}"; it must be a number from 0.5 to 120.`);
  const peers = values.peers === 'none' ? [] : values.peers.split(',').map((name) => name.trim());
  const unknown = peers.find((name) => !(name in PEERS));
  if (unknown !== undefined)
    throw new Error(`--peers names "${unknown}"; there are ${Object.keys(PEERS).join(', ')}, and none.`);
  return {
    rounds,
    seconds,
    peers: [...new Set(peers)],
    profile: values.profile,
    out: values.out,
    json: values.json,
    help: values.help,
  };
}
