import { KEYS } from './gateway-under-test.js';

/** A request that must be refused, and how. */
export interface Case {
  readonly name: string;
  readonly path?: string;
  readonly method?: string;
  readonly body?: string | Uint8Array;
  readonly json?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly key?: string;
  readonly status: number;
  readonly code: string;
  readonly param?: string | null;
  readonly says?: RegExp;
}

export const CLASSIFY = '/v1/classifications';
const invalid = { status: 400, code: 'REQUEST_INVALID' };
const flag = { status: 400, code: 'FLAG_INVALID' };

/** One row for each kind of bad input over HTTP; POST /v1/classifications unless it says otherwise. */
export const CASES: readonly Case[] = [
  { name: 'JSON that breaks off', body: '{"input": "x"', ...invalid, says: /not JSON/ },
  { name: 'no JSON at all', body: 'input=x', ...invalid, says: /not JSON/ },
  { name: 'a JSON array', body: '[{"input": "x"}]', ...invalid, says: /not an object/ },
  { name: 'a JSON number', body: '7', ...invalid, says: /not an object/ },
  { name: 'a JSON text', body: '"x"', ...invalid, says: /not an object/ },
  { name: 'JSON null', body: 'null', ...invalid, says: /not an object/ },
  { name: 'an empty body', body: '', ...invalid, says: /body is empty/ },
  { name: 'no body', ...invalid, param: 'input', says: /must be a text or a list of texts/ },
  {
    name: 'a body that is not UTF-8',
    body: Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d),
    ...invalid,
    says: /not UTF-8/,
  },
  {
    name: 'a key given twice',
    body: '{"input":"x","model":"auto","input":"y"}',
    ...invalid,
    param: 'input',
    says: /twice/,
  },
  {
    name: 'a nested key given twice',
    body: '{"input":"x","flags":{"size":1,"size":2}}',
    ...invalid,
    param: 'flags.size',
    says: /twice/,
  },
  { name: 'a missing input', json: {}, ...invalid, param: 'input' },
  {
    name: 'an input of a wrong type',
    json: { input: 7 },
    ...invalid,
    param: 'input',
    says: /text or a list of texts/,
  },
  { name: 'an empty input', json: { input: '' }, ...invalid, param: 'input', says: /must not be empty/ },
  {
    name: 'an input of white space',
    json: { input: ' \n\t' },
    ...invalid,
    param: 'input',
    says: /white space/,
  },
  { name: 'an empty list', json: { input: [] }, ...invalid, param: 'input', says: /must not be empty/ },
  {
    name: 'an empty text in a list',
    json: { input: ['x', ''] },
    ...invalid,
    param: 'input.1',
    says: /must not be empty/,
  },
  {
    name: 'a number in a list',
    json: { input: ['x', 7] },
    ...invalid,
    param: 'input.1',
    says: /must be a text/,
  },
  {
    name: 'too many texts',
    json: { input: Array(65).fill('x') },
    ...invalid,
    param: 'input',
    says: /at most 64/,
  },
  {
    name: 'a prompt that is too long',
    json: { input: 'x'.repeat(262_145) },
    ...invalid,
    param: 'input',
    says: /at most 262144/,
  },
  {
    name: 'a prompt of 1 MB',
    json: { input: 'x'.repeat(1_000_000) },
    status: 413,
    code: 'REQUEST_TOO_LARGE',
  },
  {
    name: 'a temperature beyond the range of OpenAI',
    path: '/v1/chat/completions',
    json: { model: 'auto', messages: [{ role: 'user', content: 'x' }], temperature: 99 },
    ...invalid,
    param: 'temperature',
    says: /temperature: must be at most 2/,
  },
  {
    name: 'an unknown field',
    json: { input: 'x', temperature: 1 },
    ...invalid,
    param: 'temperature',
    says: /unknown/,
  },
  {
    name: 'an unknown nested field',
    json: { input: 'x', thalamus: { debug: true } },
    ...invalid,
    param: 'thalamus.debug',
  },
  { name: 'a prototype as a field', body: '{"input":"x","__proto__":{}}', ...invalid, param: '__proto__' },
  { name: 'a wrong top', json: { input: 'x', top: 0 }, ...invalid, param: 'top' },
  {
    name: 'an unknown model',
    json: { input: 'x', model: 'nobody' },
    status: 404,
    code: 'EXPERT_NOT_FOUND',
    param: 'model',
  },
  {
    name: 'a model that is no name',
    json: { input: 'x', model: '../etc' },
    status: 404,
    code: 'EXPERT_NOT_FOUND',
    param: 'model',
  },
  {
    name: 'an unknown version',
    json: { input: 'x', model: 'banking@99' },
    status: 404,
    code: 'EXPERT_NOT_FOUND',
    param: 'model',
    says: /no version 99/,
  },
  {
    name: 'a malformed version',
    json: { input: 'x', model: 'banking@01' },
    status: 404,
    code: 'EXPERT_NOT_FOUND',
  },
  {
    name: 'an unknown composition',
    json: { input: 'x', model: 'compose:a+b' },
    status: 404,
    code: 'EXPERT_NOT_FOUND',
  },
  {
    name: 'a model of another task',
    json: { input: 'x', model: 'base' },
    ...invalid,
    param: 'model',
    says: /serves feature-extraction/,
  },
  {
    name: 'a forbidden model',
    json: { input: 'x', model: 'clinic' },
    key: KEYS.strict.key,
    status: 403,
    code: 'PERMISSION_DENIED',
  },
  {
    name: 'an unknown flag',
    json: { input: 'x', flags: 'speed=1' },
    ...flag,
    says: /"speed": it is unknown/,
  },
  {
    name: 'an unknown flag in an object',
    json: { input: 'x', flags: { speed: 1 } },
    ...flag,
    param: 'flags.speed',
  },
  {
    name: 'a flag twice',
    json: { input: 'x', flags: 'size=1,size=2' },
    ...flag,
    param: 'flags.size',
    says: /twice/,
  },
  {
    name: 'a flag twice in the header',
    json: { input: 'x' },
    headers: { 'x-thalamus-flags': 'cost=1,cost=2' },
    ...flag,
    param: 'flags.cost',
  },
  {
    name: 'a flag twice in the model name',
    json: { input: 'x', model: 'auto:cost=1,cost=2' },
    ...flag,
    param: 'flags.cost',
  },
  {
    name: 'a flag with a negative weight',
    json: { input: 'x', flags: { size: -1 } },
    ...flag,
    param: 'flags.size',
  },
  {
    name: 'a flag of a wrong type',
    json: { input: 'x', flags: { size: true } },
    ...invalid,
    param: 'flags.size',
    says: /number or a text/,
  },
  {
    name: 'two flags in one entry',
    json: { input: 'x', flags: { size: '1,cost=2' } },
    ...flag,
    param: 'flags.size',
  },
  {
    name: 'flags in both places',
    json: { input: 'x', flags: 'size=1', thalamus: { flags: 'cost=1' } },
    ...invalid,
    param: 'thalamus.flags',
  },
  {
    name: 'a wrong content type',
    body: 'x',
    headers: { 'content-type': 'text/plain' },
    status: 415,
    code: 'MEDIA_TYPE_UNSUPPORTED',
  },
  {
    name: 'a form',
    body: 'input=x',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    status: 415,
    code: 'MEDIA_TYPE_UNSUPPORTED',
  },
  { name: 'an unknown path', path: '/v1/nothing', json: {}, status: 404, code: 'RESOURCE_NOT_FOUND' },
  {
    name: 'an unknown path without a key',
    path: '/nothing',
    method: 'GET',
    status: 404,
    code: 'RESOURCE_NOT_FOUND',
  },
  { name: 'a path that is no UTF-8', path: '/v1/models/%ff', method: 'GET', ...invalid },
  { name: 'a path that is cut off', path: '/v1/models/%2', method: 'GET', ...invalid },
  { name: 'a name that is too long', path: `/v1/models/${'x'.repeat(600)}`, method: 'GET', ...invalid },
  {
    name: 'an unknown model of the list',
    path: '/v1/models/nobody',
    method: 'GET',
    status: 404,
    code: 'EXPERT_NOT_FOUND',
    param: 'id',
  },
  {
    name: 'a time that is no number',
    json: { input: 'x' },
    headers: { 'x-request-timeout-ms': 'soon' },
    ...invalid,
    param: 'x-request-timeout-ms',
  },
  {
    name: 'a conversation with a space',
    json: { input: 'x' },
    headers: { 'x-thalamus-conversation': 'my talk' },
    ...invalid,
    param: 'x-thalamus-conversation',
  },
  {
    name: 'a time of nothing',
    json: { input: 'x' },
    headers: { 'x-request-timeout-ms': '0' },
    ...invalid,
    param: 'x-request-timeout-ms',
  },
  {
    name: 'embeddings by auto',
    path: '/v1/embeddings',
    json: { input: 'x', model: 'auto' },
    ...invalid,
    param: 'model',
  },
  {
    name: 'embeddings without a model',
    path: '/v1/embeddings',
    json: { input: 'x' },
    ...invalid,
    param: 'model',
  },
  {
    name: 'embeddings by a classifier',
    path: '/v1/embeddings',
    json: { input: 'x', model: 'banking' },
    ...invalid,
    param: 'model',
  },
  {
    name: 'an unknown encoding',
    path: '/v1/embeddings',
    json: { input: 'x', model: 'base', encoding_format: 'hex' },
    ...invalid,
    param: 'encoding_format',
  },
  {
    name: 'a route for an unknown task',
    path: '/v1/route',
    json: { input: 'x', task: 'sing' },
    ...invalid,
    param: 'task',
  },
  {
    name: 'feedback without content',
    path: '/v1/feedback',
    json: { request_id: 'r' },
    ...invalid,
    param: 'score',
  },
  {
    name: 'feedback for what is no request id',
    path: '/v1/feedback',
    json: { request_id: 'what I asked', score: 1 },
    ...invalid,
    param: 'request_id',
  },
  {
    name: 'feedback out of range',
    path: '/v1/feedback',
    json: { request_id: 'r', score: 2 },
    ...invalid,
    param: 'score',
  },
];
