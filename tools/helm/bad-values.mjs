// Values files that the chart must refuse, each with the words of its own reason in what helm says.

/** Values on which nothing is wrong; each bad file is put on top of it. */
export const GOOD_VALUES = 'kafka: { brokers: [kafka:9092] }';

/** @type {readonly { fault: string, values: string, says: RegExp }[]} */
export const BAD_VALUES = [
  { fault: 'an unknown key', values: 'gatway: {}', says: /additional properties 'gatway' not allowed/ },
  {
    fault: 'an unknown setting',
    values: 'router: { settings: { THALAMUS_MAX_BACH: 4 } }',
    says: /at '\/router\/settings': additional properties 'THALAMUS_MAX_BACH' not allowed/,
  },
  {
    fault: 'a setting of another service',
    values: 'worker: { settings: { THALAMUS_MAX_IN_FLIGHT: 4 } }',
    says: /at '\/worker\/settings': additional properties 'THALAMUS_MAX_IN_FLIGHT' not allowed/,
  },
  {
    fault: 'a setting that the chart decides',
    values: 'gateway: { settings: { THALAMUS_HTTP_PORT: 80 } }',
    says: /at '\/gateway\/settings': additional properties 'THALAMUS_HTTP_PORT' not allowed/,
  },
  {
    fault: 'a setting of the wrong type',
    values: 'router: { settings: { THALAMUS_MAX_BATCH: many } }',
    says: /at '\/router\/settings\/THALAMUS_MAX_BATCH': got string, want integer/,
  },
  {
    fault: 'a setting as a plain variable',
    values: 'gateway: { extraEnv: [{ name: THALAMUS_MAX_IN_FLIGHT, value: "4" }] }',
    says: /at '\/gateway\/extraEnv\/0\/name': 'not' failed/,
  },
  {
    fault: 'no brokers',
    values: 'kafka: { brokers: [] }',
    says: /kafka\.brokers is empty: name at least one/,
  },
  {
    fault: 'a broker without port',
    values: 'kafka: { brokers: [kafka] }',
    says: /at '\/kafka\/brokers\/0': 'kafka' does not match pattern/,
  },
  {
    fault: 'a negative replica count',
    values: 'gateway: { replicas: -1 }',
    says: /at '\/gateway\/replicas': minimum: got -1, want 0/,
  },
  {
    fault: 'a log level that does not exist',
    values: 'telemetry: { logLevel: verbose }',
    says: /at '\/telemetry\/logLevel': value must be one of 'debug', 'info', 'warn', 'error'/,
  },
  {
    fault: 'a trace ratio above one',
    values: 'telemetry: { traceRatio: 2 }',
    says: /at '\/telemetry\/traceRatio': maximum: got 2, want 1/,
  },
  {
    fault: 'more replicas at least than at most',
    values: 'gateway: { autoscaling: { enabled: true, minReplicas: 5, maxReplicas: 2 } }',
    says: /gateway\.autoscaling: minReplicas 5 is larger than maxReplicas 2/,
  },
  {
    fault: 'autoscaling without a CPU request',
    values: 'router: { autoscaling: { enabled: true }, resources: { requests: { cpu: null } } }',
    says: /router\.autoscaling is enabled, but router\.resources\.requests\.cpu is not set/,
  },
  {
    fault: 'a quantity that is none',
    values: 'router: { dataSize: lots }',
    says: /at '\/router\/dataSize': 'lots' does not match pattern/,
  },
  {
    fault: 'an ingress without host',
    values: 'ingress: { enabled: true }',
    says: /ingress\.host is empty: name the host that callers use/,
  },
  {
    fault: 'a drain that outlasts the pod',
    values: '{ drainMs: 300000, terminationGracePeriodSeconds: 60 }',
    says: /terminationGracePeriodSeconds is 60, but readinessGraceMs \+ drainMs \+ 2000 are 307000 ms/,
  },
  {
    fault: 'two updaters on a volume for one',
    values: 'updater: { replicas: 2 }',
    says: /updater\.replicas is 2, but updater\.artifacts\.accessMode is ReadWriteOnce/,
  },
  {
    fault: 'an image digest that is none',
    values: 'image: { digest: latest }',
    says: /at '\/image\/digest': 'latest' does not match pattern/,
  },
];
