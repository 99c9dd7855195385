import type { DescField, DescMessage, Message } from '@bufbuild/protobuf';
import { ThalamusError, type FieldViolation } from '@thalamus/errors';

/** Most violations that one answer names. */
const MAX_NAMED = 16;

/**
 * Refuses a request that holds fields its schema does not have, at any depth. Protobuf would drop them without a word, and
 * the caller would believe in a wish that nobody reads (docs/decisions/0004-unknown-fields.md).
 * Cost: one visit for each sub-message; bytes and numbers are not looked at.
 * @throws REQUEST_INVALID with the path and number of each unknown field
 */
export function refuseUnknownFields(schema: DescMessage, message: Message): void {
  const violations: FieldViolation[] = [];
  visit(schema, message, '', violations);
  if (violations.length === 0) return;
  const listed = violations.map(({ field }) => field).join(', ');
  throw new ThalamusError(
    'REQUEST_INVALID',
    `The request holds fields that ${schema.typeName} does not have: ${listed}. Leave them out, or call a server whose schema has them; reflection shows this server's.`,
    { violations },
  );
}

function visit(schema: DescMessage, message: Message, path: string, violations: FieldViolation[]): void {
  for (const { no } of message.$unknown ?? []) {
    if (violations.length >= MAX_NAMED) return;
    violations.push({
      field: `${path}#${no}`,
      description: `${schema.typeName} has no field with the number ${no}`,
    });
  }
  for (const field of messageFields(schema)) {
    for (const [key, value] of valuesOf(field, message))
      if (field.message) visit(field.message, value, `${path}${field.name}${key}.`, violations);
  }
}

const known = new WeakMap<DescMessage, readonly DescField[]>();

/** Fields that hold messages. */
function messageFields(schema: DescMessage): readonly DescField[] {
  let fields = known.get(schema);
  if (!fields) {
    fields = schema.fields.filter((field) => field.message !== undefined);
    known.set(schema, fields);
  }
  return fields;
}

/** The messages in a field, with what follows the field's name in a path. */
function* valuesOf(field: DescField, message: Message): Iterable<readonly [string, Message]> {
  const record = message as unknown as Record<string, unknown>;
  const holder = field.oneof ? record[field.oneof.localName] : undefined;
  const value = field.oneof ? oneofValue(field, holder) : record[field.localName];
  if (typeof value !== 'object' || value === null) return;
  if (field.fieldKind === 'message') {
    // Wrappers and google.protobuf.Struct are plain values here, not messages.
    if (isMessage(value)) yield ['', value];
  } else {
    for (const [key, entry] of Object.entries(value)) if (isMessage(entry)) yield [`[${key}]`, entry];
  }
}

function oneofValue(field: DescField, holder: unknown): unknown {
  const chosen = holder as { readonly case?: string; readonly value?: unknown } | undefined;
  return chosen?.case === field.localName ? chosen.value : undefined;
}

function isMessage(value: unknown): value is Message {
  return typeof value === 'object' && value !== null && '$typeName' in value;
}
