import { z } from 'zod';

const whole = z.int().describe('64 bits.');
const parameters = z.record(z.string(), z.union([z.boolean(), z.number(), z.string()]));
const shape = z.array(whole);
const datatype = z
  .string()
  .describe(
    'BOOL, UINT8 to UINT64, INT8 to INT64, FP16, BF16, FP32, FP64, BYTES; FP16 and BF16 as binary data only.',
  );
const data = z.array(z.unknown()).describe('Elements in row-major order, flat; in a request nested as well.');
const described = z.array(z.object({ name: z.string(), datatype, shape: shape.describe('-1 varies.') }));

/** Bodies and answers of the Open Inference Protocol v2 over HTTP, for the OpenAPI document: reading them is the library's. */
export const oipSchemas = {
  inferBody: z
    .strictObject({
      id: z.string().optional().describe('Comes back in the answer.'),
      model_name: z.string().optional().describe('As clients of KServe send it: what the path says.'),
      model_version: z.string().optional().describe('As model_name.'),
      parameters: parameters
        .optional()
        .describe(
          'timeout (microseconds), binary_data_output (all outputs as binary data), those of the model; for auto and compositions task and flags.',
        ),
      inputs: z.array(
        z.strictObject({
          name: z.string(),
          datatype,
          shape,
          parameters: parameters
            .optional()
            .describe('binary_data_size: bytes of this input behind the JSON, in place of data.'),
          data: data.optional(),
        }),
      ),
      outputs: z
        .array(
          z.strictObject({
            name: z.string(),
            parameters: parameters
              .optional()
              .describe(
                'binary_data; classification: so many of the highest values as texts value:index:label.',
              ),
          }),
        )
        .optional()
        .describe('Outputs that are wanted; left out: all.'),
    })
    .meta({ title: 'InferenceRequest' }),
  inferAnswer: z.object({
    id: z.string().optional(),
    model_name: z.string(),
    model_version: z.string(),
    parameters: parameters.optional(),
    outputs: z.array(
      z.object({
        name: z.string(),
        datatype,
        shape,
        parameters: parameters.optional(),
        data: data.optional(),
      }),
    ),
  }),
  server: z.object({ name: z.string(), version: z.string(), extensions: z.array(z.string()) }),
  live: z.object({ live: z.boolean() }),
  ready: z.object({ ready: z.boolean() }),
  modelReady: z.object({ name: z.string(), ready: z.boolean() }),
  model: z.object({
    name: z.string(),
    versions: z.array(z.string()),
    platform: z.string(),
    inputs: described,
    outputs: described,
  }),
  config: z
    .looseObject({ name: z.string() })
    .describe('inference.ModelConfig in JSON, names as in the schema.'),
  statistics: z.object({
    model_stats: z.array(
      z.looseObject({
        name: z.string(),
        version: z.string(),
        inference_count: whole,
        execution_count: whole,
      }),
    ),
  }),
  indexBody: z
    .strictObject({
      ready: z.boolean().default(false).describe('Those alone that are ready.'),
      repository_name: z.string().optional().describe('There is one repository: left out, or empty.'),
    })
    .meta({ title: 'RepositoryIndexRequest' }),
  index: z.array(z.object({ name: z.string(), version: z.string(), state: z.string(), reason: z.string() })),
  changeBody: z.strictObject({ parameters: parameters.optional() }).meta({ title: 'RepositoryModelRequest' }),
  changed: z.object({}),
  error: z.object({
    error: z.string().describe('Code of the error table, a colon and what is wrong, where, and what to do.'),
  }),
} as const;
