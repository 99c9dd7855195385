// Begins a run that takes far longer than anybody waits, says which process does it, and waits to be killed.
import { ChildProcessPool } from '@thalamus/inference';
import { encodeModel } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import { slowGraph } from '@thalamus/testing';

const pool = new ChildProcessPool();
const slow = await pool.open('slow').load({ bytes: encodeModel(slowGraph()) });
const run = slow.run({ side: tensor('int64', [2], BigInt64Array.of(9_000n, 9_000n)) });
setTimeout(() => console.log(pool.processes[0].pid), 300);
await run;
