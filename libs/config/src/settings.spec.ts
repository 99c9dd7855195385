import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { busSettings, grpcSettings, milliseconds } from './fragments.js';
import { defineSettings, describeSettings, loadSettings, setting } from './settings.js';

const definition = defineSettings(
  {
    ...grpcSettings(7402),
    ...busSettings(),
    queueMs: setting('THALAMUS_QUEUE_MS', milliseconds(5), 'Queue time.'),
    modelFolder: setting('THALAMUS_MODEL_FOLDER', z.string(), 'Folder of the model.'),
  },
  (values) =>
    values.queueMs > 1000 && values.bus === 'embedded'
      ? [{ field: 'THALAMUS_QUEUE_MS', description: 'must be at most 1000 while THALAMUS_BUS is embedded' }]
      : [],
);

describe('loadSettings', () => {
  it('takes defaults and parses text', () => {
    const values = loadSettings(definition, {
      THALAMUS_MODEL_FOLDER: 'm',
      THALAMUS_GRPC_PORT: '0',
      THALAMUS_KAFKA_BROKERS: 'a:1, b:2',
    });
    expect(values.grpcPort).toBe(0);
    expect(values.kafkaBrokers).toEqual(['a:1', 'b:2']);
    expect(values.queueMs).toBe(5);
  });

  it('reports every bad, missing and unknown variable at once', () => {
    const attempt = () =>
      loadSettings(definition, {
        THALAMUS_GRPC_PORT: '99999',
        THALAMUS_QUEUE_MS: 'soon',
        THALAMUS_QEUE_MS: '1',
      });
    const error = catchError(attempt);
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.violations.map((violation) => violation.field)).toEqual([
      'THALAMUS_GRPC_PORT',
      'THALAMUS_QUEUE_MS',
      'THALAMUS_MODEL_FOLDER',
      'THALAMUS_QEUE_MS',
    ]);
    expect(error.message).toContain('got "99999"');
  });

  it('reports contradictions with both names', () => {
    const error = catchError(() =>
      loadSettings(definition, {
        THALAMUS_MODEL_FOLDER: 'm',
        THALAMUS_QUEUE_MS: '2000',
        THALAMUS_BUS: 'embedded',
      }),
    );
    expect(error.message).toContain('THALAMUS_QUEUE_MS');
    expect(error.message).toContain('THALAMUS_BUS');
  });
});

describe('secrets', () => {
  const secretive = defineSettings({
    token: setting('THALAMUS_HUB_TOKEN', z.string().min(40, 'must have 40 characters'), 'Token.'),
    endpoint: setting('THALAMUS_ENDPOINT', z.string().regex(/^https:/, 'must be https'), 'Endpoint.'),
  });

  it('never stand in the message about a bad value', () => {
    const error = catchError(() =>
      loadSettings(secretive, {
        THALAMUS_HUB_TOKEN: 'abc-secret',
        THALAMUS_ENDPOINT: 'http://me:abc-secret@host:1/x',
      }),
    );
    expect(error.violations).toHaveLength(2);
    expect(error.message).not.toContain('abc-secret');
    expect(error.message).toContain('http://***@host:1/x');
  });

  it('are not asked for by a value that is only unknown', () => {
    const error = catchError(() => loadSettings(defineSettings({}), { THALAMUS_OTHER: 'abc-secret' }));
    expect(error.message).toContain('THALAMUS_OTHER');
    expect(error.message).not.toContain('abc-secret');
  });
});

describe('setting', () => {
  it('refuses a variable that is not ours', () => {
    expect(() => setting('PATH', z.string(), 'x')).toThrow(TypeError);
    expect(() => setting('THALAMUS_lower', z.string(), 'x')).toThrow(TypeError);
  });

  it('takes an empty variable for an unset one', () => {
    const values = loadSettings(defineSettings({ port: setting('THALAMUS_X', milliseconds(5), 'x') }), {
      THALAMUS_X: '',
    });
    expect(values.port).toBe(5);
  });
});

describe('describeSettings', () => {
  it('shows defaults and marks required ones', () => {
    const rows = describeSettings(definition);
    expect(rows.find((row) => row.variable === 'THALAMUS_GRPC_PORT')?.defaultText).toBe('7402');
    expect(rows.find((row) => row.variable === 'THALAMUS_MODEL_FOLDER')?.defaultText).toBeUndefined();
  });
});

function catchError(attempt: () => unknown): ThalamusError {
  try {
    attempt();
  } catch (error) {
    if (ThalamusError.is(error)) return error;
  }
  throw new Error('expected a ThalamusError');
}
