/**
 * Layers inside a project, checked by `npm run lint`: adapters -> application -> domain, never back; no cycles; generated
 * ONNX messages stay behind their codec. Which project may import which is checked by ESLint (`eslint.config.mjs`).
 */
export default {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'domain-is-pure',
      comment: 'domain/ holds rules: it knows neither use cases nor the outside.',
      severity: 'error',
      from: { path: '^services/[^/]+/src/domain/' },
      to: {
        path: '^services/[^/]+/src/(application|adapters)/|^node_modules/(@nestjs|@grpc|kafkajs)/|^node:(fs|net|http)',
      },
    },
    {
      name: 'application-knows-no-adapter',
      comment: 'application/ declares ports; adapters/ implement them; app.module.ts joins the two.',
      severity: 'error',
      from: { path: '^services/[^/]+/src/application/' },
      to: { path: '^services/[^/]+/src/adapters/|^node_modules/@nestjs/' },
    },
    {
      name: 'only-the-module-wires',
      severity: 'error',
      from: { path: '^services/[^/]+/src/(domain|application|adapters)/' },
      to: { path: '^services/[^/]+/src/(app\\.module|main)\\.ts$' },
    },
    {
      name: 'kafkajs-in-one-folder',
      severity: 'error',
      from: { pathNot: '^libs/(events/src/kafka|testing/src/broker)/' },
      to: { path: '^(node_modules/)?kafkajs' },
    },
    {
      name: 'onnx-messages-in-one-library',
      severity: 'error',
      from: { pathNot: '^libs/onnx-graph/src/' },
      to: { path: '^libs/onnx-graph/src/codec/gen/' },
    },
    {
      name: 'no-orphans',
      severity: 'error',
      from: {
        orphan: true,
        pathNot:
          '\\.spec\\.ts$|/main\\.ts$|/index\\.ts$|/vite\\.config\\.ts$|/gen/|/register\\.ts$|-(main|worker)\\.ts$|/bin/',
      },
      to: {},
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|coverage|node_modules/\\.cache)/|/test/|\\.spec\\.ts$' },
    includeOnly: { path: '^(libs|services)/|^node_modules/(kafkajs|@nestjs|@grpc)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['@thalamus/source', 'import', 'node', 'default'],
    },
  },
};
