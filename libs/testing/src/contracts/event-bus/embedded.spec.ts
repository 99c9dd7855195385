import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, vi } from 'vitest';
import { eventBusContract } from './event-bus.contract.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
const folder = mkdtempSync(join(tmpdir(), 'thalamus-bus-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

eventBusContract('embedded', () => ({ adapter: 'embedded', file: join(folder, 'log.db') }));
