import { spawn } from 'node:child_process';

const STOP_MS = 20_000;
const started = new Set();

/** Starts a process that `stopAll` ends. Each leads a group of its own: Ctrl-C is for the bench alone to hear. */
export function start(command, args, { env = {}, ipc = false, cwd } = {}) {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? ['ipc'] : [])],
    detached: true,
  });
  let said = '';
  const listen = (text) => {
    said = (said + text).slice(-4000);
  };
  child.stdout.setEncoding('utf8').on('data', listen);
  child.stderr.setEncoding('utf8').on('data', listen);
  const entry = {
    child,
    pid: child.pid,
    said: () => said,
    ended: new Promise((resolve) => {
      child.once('error', (fault) => resolve(fault.message));
      child.once('exit', (code, signal) => resolve(signal ?? code));
    }),
  };
  started.add(entry);
  void entry.ended.then(() => started.delete(entry));
  return entry;
}

/** Waits until `check` is true; fails when the process ends before or when it takes too long. */
export async function untilReady(name, { ended, said }, check, timeoutMs) {
  let end;
  void ended.then((how) => (end = how));
  const until = performance.now() + timeoutMs;
  while (!(await check())) {
    if (end !== undefined) throw new Error(`${name} ended (${end}) before it was ready:\n${said()}`);
    if (performance.now() > until) throw new Error(`${name} was not ready in time:\n${said()}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Ends every process that was started: politely, then with force, with all of its group. */
export async function stopAll() {
  await Promise.all([...started].map(stop));
}

async function stop({ child, pid, ended }) {
  if (child.connected) child.disconnect();
  child.kill('SIGINT');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(timer);
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nothing of its group is left.
  }
}
