// Live traffic of a release of gate-releases.json, request by request, watched by the monitors of the gate.
import { evaluateGate, GateWatch } from '@thalamus/compatibility';

/** Requests of the old version whose times are known when a stage begins. */
const KNOWN = 200;

/** Runs a stage until its rules fail or its requests are over: what the gate says then, and after how many requests. */
export function runStage(gate, stage, release, random) {
  const effect = { ...release, ...release[stage] };
  const watch = new GateWatch(gate, stage);
  const memory = { memoryRatio: { value: effect.memory, n: 1 } };
  const evidence = () => ({ figures: { [stage]: { ...watch.figures, ...memory } } });
  const usual = usualLatency(effect, random);
  for (let request = 1; request <= effect.requests; request++) {
    watch.see('errorRate', fails(effect, request, random));
    watch.see('disagreement', random.next() < effect.disagreement);
    const own = candidateLatency(effect, random);
    watch.see('slower', own > effect.tolerance * latency(effect, random));
    watch.see('slowTail', own > usual);
    if (random.next() < effect.feedback) watch.see('worse', random.next() < effect.worse);
    const result = evaluateGate(gate, evidence(), [stage]);
    if (result.status === 'failed') return { ...result, requests: request };
  }
  return { ...evaluateGate(gate, evidence(), [stage]), requests: effect.requests };
}

function fails({ errors, spikes }, request, random) {
  if (spikes && (request + spikes.every / 2) % spikes.every < spikes.length) return true;
  return random.next() < errors;
}

/** Log-normal: the spread is that of its logarithm. */
function latency({ latencySpread }, random) {
  return Math.exp(latencySpread * random.normal());
}

/** 95 in 100 requests of the old version took no longer: from so many of them, as one has them. */
function usualLatency(effect, random) {
  const known = Array.from({ length: KNOWN }, () => latency(effect, random)).sort((a, b) => a - b);
  return known[Math.floor(0.95 * KNOWN)];
}

function candidateLatency(effect, random) {
  const own = effect.latency * latency(effect, random);
  return effect.tail && random.next() < effect.tail.share ? own * effect.tail.times : own;
}
