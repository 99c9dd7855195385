import {
  create,
  ScalarType,
  toJson,
  type DescMessage,
  type JsonValue,
  type MessageInitShape,
} from '@bufbuild/protobuf';

const LONG: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.SINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
]);

/**
 * A message as Triton writes it in JSON: the names of the schema, every field, and 64-bit integers as numbers where protobuf's
 * own form has texts. For `writeJson`.
 */
export function messageJson<D extends DescMessage>(schema: D, message: MessageInitShape<D>): unknown {
  const options = { useProtoFieldName: true, alwaysEmitImplicit: true } as const;
  return withNumbers(schema, toJson(schema, create(schema, message), options));
}

function withNumbers(schema: DescMessage, json: JsonValue): unknown {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return json;
  return Object.fromEntries(
    Object.entries(json).map(([name, value]) => {
      const field = schema.fields.find((candidate) => candidate.name === name);
      if (!field) return [name, value];
      const inner = (entry: JsonValue): unknown => {
        if (field.message) return withNumbers(field.message, entry);
        return field.scalar !== undefined && LONG.has(field.scalar) ? BigInt(entry as string) : entry;
      };
      if (Array.isArray(value)) return [name, value.map(inner)];
      if (field.fieldKind !== 'map') return [name, inner(value)];
      return [
        name,
        Object.fromEntries(
          Object.entries(value as object).map(([key, entry]) => [key, inner(entry as JsonValue)]),
        ),
      ];
    }),
  );
}
