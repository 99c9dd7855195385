import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import {
  addressSetting,
  advertiseSettings,
  artifactSettings,
  busSettings,
  bytes,
  count,
  dataSettings,
  grpcSettings,
  milliseconds,
  opsSettings,
  routerAddress,
  telemetrySettings,
  updaterAddress,
} from './fragments.js';
import { defineSettings, describeSettings, loadSettings, setting } from './settings.js';

const everything = defineSettings({
  ...grpcSettings(7000),
  ...advertiseSettings(),
  ...opsSettings(7100),
  ...busSettings(),
  ...telemetrySettings(),
  ...dataSettings('test'),
  ...artifactSettings(),
  ...updaterAddress(),
  ...routerAddress(),
  limit: setting('THALAMUS_LIMIT', bytes(10), 'A size.'),
  many: setting('THALAMUS_MANY', count(3), 'A number.'),
  wait: setting('THALAMUS_WAIT', milliseconds(7), 'A time.'),
  other: addressSetting('THALAMUS_OTHER_ADDRESS', '127.0.0.1:1', 'other'),
});

describe('the parts of settings', () => {
  it('have defaults for everything and say what each setting means', () => {
    expect(() => loadSettings(everything, {})).not.toThrow();
    for (const { defaultText, description } of describeSettings(everything)) {
      expect(defaultText).toBeDefined();
      expect(description).toMatch(/^\S.*\.$/);
    }
  });

  it.each([
    ['THALAMUS_GRPC_PORT', '65536', '0 to 65535'],
    ['THALAMUS_GRPC_PORT', '-1', '0 to 65535'],
    ['THALAMUS_GRPC_PORT', '80.5', 'whole number'],
    ['THALAMUS_GRPC_PORT', 'http', 'port number'],
    ['THALAMUS_WAIT', '-1', 'negative'],
    ['THALAMUS_WAIT', '1s', 'milliseconds'],
    ['THALAMUS_LIMIT', '0', 'positive'],
    ['THALAMUS_MANY', '0', 'at least 1'],
    ['THALAMUS_BUS', 'rabbit', 'embedded or kafka'],
    ['THALAMUS_KAFKA_BROKERS', 'broker', 'host:port'],
    ['THALAMUS_KAFKA_BROKERS', 'a:1,,b:2', 'host:port'],
    ['THALAMUS_LOG_LEVEL', 'loud', 'debug, info, warn or error'],
    ['THALAMUS_OTLP_ENDPOINT', 'here', 'URL'],
    ['THALAMUS_TRACE_RATIO', '2', '0 to 1'],
    ['THALAMUS_ARTIFACTS', 's3', 'folder or updater'],
    ['THALAMUS_UPDATER_ADDRESS', 'http://updater', 'host:port'],
    ['THALAMUS_OTHER_ADDRESS', '127.0.0.1', 'host:port'],
  ])('refuse %s=%s and say the rule', (variable, value, rule) => {
    let message = '';
    try {
      loadSettings(everything, { [variable]: value });
    } catch (fault) {
      if (ThalamusError.is(fault)) message = fault.message;
    }
    expect(message).toContain(`${variable}: `);
    expect(message).toContain(rule);
  });
});
