// What a message to an inference process and its answer cost, over the ways that Node has: its own channel with structured clones
// (what the expert host uses), frames of bytes over a pair of pipes, and frames whose tensors lie in a file of shared memory.
//   npm run bench:channel [-- --rounds 5 --messages 400 --out FILE]
// The request has two int64 tensors [batch, tokens], the answer one float32 [batch, 384], as an encoder has them; the other process
// answers at once. Rounds take turns. CPU is that of both processes, from the kernel's own accounts, and is the steadier figure.
import { spawn } from 'node:child_process';
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median, ratioOverRounds } from './gateway/statistics.mjs';

const WIDTH = 384;
const SHAPES = [
  [1, 16],
  [8, 16],
  [4, 128],
  [32, 128],
];
const SHARED_BYTES = 4 * 2 ** 20;
/** Shared memory on Linux; elsewhere there is no file for it. */
const SHARED_FOLDER = '/dev/shm';

if (process.env.CHANNEL_SIDE) answerAs(process.env.CHANNEL_SIDE);
else await bench();

async function bench() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      messages: { type: 'string', default: '400' },
      out: { type: 'string' },
    },
  });
  const [rounds, messages] = [Number(values.rounds), Number(values.messages)];
  const sides = { clone: openClone(), frames: openFrames(), shared: openShared() };
  const raw = [];
  for (let round = -1; round < rounds; round++)
    for (const [batch, tokens] of SHAPES) {
      const names = Object.keys(sides);
      for (const side of names.map((_, i) => names[(i + round + 1) % names.length])) {
        const turn = await takeTurn(sides[side], { batch, tokens, messages });
        // The first round makes everybody warm.
        if (round >= 0) raw.push({ round, side, batch, tokens, ...turn });
      }
    }
  for (const { close } of Object.values(sides)) close();
  const head = { machine: `${cpus().length} x ${cpus()[0]?.model.trim()}`, loadAverage: loadavg() };
  if (values.out) writeFileSync(values.out, `${JSON.stringify({ ...head, raw }, null, 1)}\n`);
  console.log(table(raw, Object.keys(sides)));
}

async function takeTurn({ pid, ask }, { batch, tokens, messages }) {
  const numbers = () => new BigInt64Array(batch * tokens).fill(7n);
  const cpu = () => cpuMicros(process.pid) + cpuMicros(pid);
  const before = cpu();
  const startedAt = performance.now();
  for (let i = 0; i < messages; i++) {
    const answer = await ask([numbers(), numbers()], batch);
    if (answer.length !== batch * WIDTH || answer[0] !== 14) throw new Error('a wrong answer');
  }
  const wallMicros = ((performance.now() - startedAt) * 1000) / messages;
  return { cpuMicros: (cpu() - before) / messages, wallMicros };
}

/** The channel of Node with structured clones. */
function openClone() {
  const child = spawnSide('clone', ['ignore', 'inherit', 'inherit', 'ipc']);
  const waiting = new Map();
  let next = 0;
  child.on('message', ({ id, answer }) => waiting.get(id)(answer));
  const ask = (tensors, batch) =>
    new Promise((resolve) => {
      waiting.set(++next, resolve);
      child.send({ id: next, tensors, batch });
    });
  return { pid: child.pid, ask, close: () => child.disconnect() };
}

/** Frames of bytes: their length, the batch, then the tensors. */
function openFrames() {
  const child = spawnSide('frames', ['ignore', 'inherit', 'inherit', 'pipe', 'pipe']);
  let resolve;
  onFrames(child.stdio[4], (frame) => resolve(floatsOf(frame, 4)));
  const ask = (tensors, batch) => {
    const answered = new Promise((settle) => (resolve = settle));
    writeFrame(child.stdio[3], batch, tensors.map(bytesOf));
    return answered;
  };
  return { pid: child.pid, ask, close: () => child.stdio[3].end() };
}

/** Frames without tensors: those are in a file of shared memory, the request's first, the answer's behind them. */
function openShared() {
  const file = `${SHARED_FOLDER}/thalamus-channel-${process.pid}`;
  writeFileSync(file, new Uint8Array(SHARED_BYTES));
  const descriptor = openSync(file, 'r+');
  const child = spawnSide('shared', ['ignore', 'inherit', 'inherit', 'pipe', 'pipe'], file);
  let resolve;
  onFrames(child.stdio[4], (frame) => resolve(frame.readUInt32LE(0)));
  const ask = async (tensors, batch) => {
    const answered = new Promise((settle) => (resolve = settle));
    const bytes = tensors.map(bytesOf);
    bytes.reduce((at, part) => at + writeSync(descriptor, part, 0, part.length, at), 0);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes[0].length);
    writeFrame(child.stdio[3], batch, [length]);
    const answer = new Float32Array((await answered) * WIDTH);
    readSync(descriptor, answer, 0, answer.byteLength, SHARED_BYTES / 2);
    return answer;
  };
  const close = () => {
    child.stdio[3].end();
    closeSync(descriptor);
    rmSync(file);
  };
  return { pid: child.pid, ask, close };
}

/** The other process: answers each request with as many rows as it has texts, of the sum of its first elements. */
function answerAs(side) {
  if (side === 'clone') {
    process.on('message', ({ id, tensors, batch }) => process.send({ id, answer: answerTo(tensors, batch) }));
    process.on('disconnect', () => process.exit(0));
    return;
  }
  const out = new Socket({ fd: 4 });
  const requests = new Socket({ fd: 3 });
  const descriptor = side === 'shared' ? openSync(process.argv[2], 'r+') : undefined;
  onFrames(requests, (frame) => {
    const batch = frame.readUInt32LE(0);
    if (descriptor === undefined) {
      const half = (frame.length - 4) / 2;
      const tensors = [0, 1].map((i) => longsOf(frame.subarray(4 + i * half, 4 + (i + 1) * half)));
      writeFrame(out, batch, [bytesOf(answerTo(tensors, batch))]);
      return;
    }
    const bytes = frame.readUInt32LE(4);
    const tensors = [0, 1].map((i) => {
      const tensor = new BigInt64Array(bytes / 8);
      readSync(descriptor, tensor, 0, bytes, i * bytes);
      return tensor;
    });
    const answer = answerTo(tensors, batch);
    writeSync(descriptor, answer, 0, answer.byteLength, SHARED_BYTES / 2);
    writeFrame(out, batch, []);
  });
  requests.on('end', () => process.exit(0));
}

function answerTo([first, second], batch) {
  return new Float32Array(batch * WIDTH).fill(Number(first[0]) + Number(second[0]));
}

function spawnSide(side, stdio, ...more) {
  return spawn(process.execPath, ['--max-semi-space-size=2', fileURLToPath(import.meta.url), ...more], {
    serialization: 'advanced',
    stdio,
    env: { ...process.env, CHANNEL_SIDE: side },
  });
}

function writeFrame(stream, batch, parts) {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(
    parts.reduce((sum, part) => sum + part.length, 4),
    0,
  );
  head.writeUInt32LE(batch, 4);
  stream.cork();
  stream.write(head);
  for (const part of parts) stream.write(part);
  stream.uncork();
}

/** Calls with each whole frame, without its length. */
function onFrames(stream, onFrame) {
  let chunks = [];
  let held = 0;
  stream.on('data', (chunk) => {
    chunks.push(chunk);
    held += chunk.length;
    while (held >= 4) {
      if (chunks[0].length < 4) chunks = [Buffer.concat(chunks)];
      const whole = 4 + chunks[0].readUInt32LE(0);
      if (held < whole) return;
      const all = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
      chunks = whole < all.length ? [all.subarray(whole)] : [];
      held -= whole;
      onFrame(all.subarray(4, whole));
    }
  });
}

function bytesOf({ buffer, byteOffset, byteLength }) {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** A copy: a frame begins anywhere, a tensor must not. */
function longsOf(bytes) {
  return new BigInt64Array(new Uint8Array(bytes).buffer);
}

function floatsOf(frame, from) {
  return new Float32Array(new Uint8Array(frame.subarray(from)).buffer);
}

/** CPU time of all threads of a process so far, microseconds (Linux). */
function cpuMicros(pid) {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
    const [nanoseconds] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
    return sum + Number(nanoseconds) / 1000;
  }, 0);
}

function table(raw, names) {
  const of = (side, batch, tokens, field) =>
    raw
      .filter((row) => row.side === side && row.batch === batch && row.tokens === tokens)
      .map((row) => row[field]);
  const rows = SHAPES.flatMap(([batch, tokens]) =>
    names.map((side) => {
      const cpu = ratioOverRounds(
        of(side, batch, tokens, 'cpuMicros'),
        of('clone', batch, tokens, 'cpuMicros'),
      );
      const against =
        side === 'clone' ? '' : `${cpu.ratio.toFixed(2)} [${cpu.low?.toFixed(2)}, ${cpu.high?.toFixed(2)}]`;
      const middle = (field) => median(of(side, batch, tokens, field)).toFixed(0);
      return `| ${batch} x ${tokens} | ${side} | ${middle('cpuMicros')} | ${middle('wallMicros')} | ${against} |`;
    }),
  );
  return [
    '| batch x tokens | way | CPU µs, both processes | wall µs | CPU against clone |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}
