import { ThalamusError, type FieldViolation } from '@thalamus/errors';
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document } from 'yaml';
import type { Scalar } from './recipe-document.js';

/** Most characters of a recipe. */
const MAX_LENGTH = 256 * 1024;
/** Most nodes that are visited, aliases counted each time: what stops a document of nested aliases. */
const MAX_NODES = 20_000;

/** A node with its place. */
export interface Field {
  /** Path from the top, such as `models[1].parameters.weight`; empty for the document. */
  readonly path: string;
  /** Line in the text, from 1. */
  readonly line: number;
  readonly node: unknown;
}

/** Reads a YAML document field by field and collects what is wrong, each fault with its line and field. */
export class RecipeReader {
  private readonly lines = new LineCounter();
  private readonly document: Document.Parsed;
  private readonly violations: FieldViolation[] = [];
  private visited = 0;

  /** @throws REQUEST_INVALID when the text is too long or no YAML */
  constructor(text: string) {
    if (text.length > MAX_LENGTH)
      throw new ThalamusError(
        'REQUEST_INVALID',
        `The recipe has ${text.length} characters; at most ${MAX_LENGTH} are read.`,
        { violations: [{ field: 'recipe', description: 'is too long' }] },
      );
    // mergekit reads recipes as YAML 1.1: there `yes` is true.
    this.document = parseDocument(text, {
      lineCounter: this.lines,
      version: '1.1',
      prettyErrors: false,
      merge: false,
    });
    const faults = [...this.document.errors, ...this.document.warnings];
    for (const { message, pos } of faults)
      this.refuse(this.lineAt(pos[0]), 'recipe', `is no YAML: ${message}`);
    if (faults.length > 0) this.end();
  }

  /** The document itself. */
  get root(): Field {
    return { path: '', line: 1, node: this.document.contents };
  }

  /** Notes a fault. */
  say({ path, line }: Field, description: string): void {
    this.refuse(line, path || 'recipe', description);
  }

  /** Fields of a mapping by name; undefined, with a fault noted, when it is none. Unknown names are faults. */
  fields(field: Field, known: readonly string[] | undefined): Map<string, Field> | undefined {
    const node = this.resolved(field);
    if (!isMap(node)) {
      this.say(field, 'must be a mapping of names to values');
      return undefined;
    }
    const found = new Map<string, Field>();
    for (const { key, value } of node.items) {
      const line = this.lineOf(key) ?? field.line;
      const written = isScalar(key) ? key.value : undefined;
      const name = typeof written === 'string' || typeof written === 'number' ? `${written}` : '?';
      const inner = { path: field.path ? `${field.path}.${name}` : name, line, node: value };
      if (known && !known.includes(name)) this.say(inner, `is unknown; known are ${known.join(', ')}`);
      else found.set(name, inner);
    }
    return found;
  }

  /** Items of a list; undefined, with a fault noted, when it is none. */
  items(field: Field): readonly Field[] | undefined {
    const node = this.resolved(field);
    if (!isSeq(node)) {
      this.say(field, 'must be a list');
      return undefined;
    }
    return node.items.map((item, index) => ({
      path: `${field.path}[${index}]`,
      line: this.lineOf(item) ?? field.line,
      node: item,
    }));
  }

  /** Whether it is a list. */
  isList(field: Field): boolean {
    return isSeq(this.resolved(field));
  }

  /** Whether it is a mapping. */
  isMapping(field: Field): boolean {
    return isMap(this.resolved(field));
  }

  /** A number, truth value or text; undefined, with a fault noted, when it is none. */
  scalar(field: Field): Scalar | undefined {
    const node = this.resolved(field);
    const value: unknown = isScalar(node) ? node.value : undefined;
    if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string') return value;
    if (typeof value === 'bigint') return Number(value);
    this.say(field, 'must be a number, true or false, or text');
    return undefined;
  }

  /** A text that is not empty; undefined, with a fault noted, when it is none. */
  text(field: Field): string | undefined {
    const node = this.resolved(field);
    if (isScalar(node) && typeof node.value === 'string' && node.value !== '') return node.value;
    this.say(field, 'must be text');
    return undefined;
  }

  /** @throws REQUEST_INVALID with every fault that was noted, if any was */
  end(): void {
    if (this.violations.length === 0) return;
    const list = this.violations.map(({ field, description }) => `${field} ${description}`).join('; ');
    throw new ThalamusError('REQUEST_INVALID', `The recipe is not valid: ${list}.`, {
      violations: this.violations,
    });
  }

  private refuse(line: number, path: string, description: string): void {
    this.violations.push({ field: path, description: `(line ${line}) ${description}` });
  }

  /** The node, or what it is an alias of. */
  private resolved(field: Field): unknown {
    this.visited += 1;
    if (this.visited > MAX_NODES) {
      this.say(field, `takes the recipe beyond ${MAX_NODES} values; write fewer aliases`);
      this.end();
    }
    if (!isAlias(field.node)) return field.node;
    const target = field.node.resolve(this.document);
    if (target) return target;
    this.say(field, `is an alias of "${field.node.source}", which no anchor before it names`);
    this.end();
    return undefined;
  }

  private lineOf(node: unknown): number | undefined {
    const range = (isAlias(node) || isMap(node) || isScalar(node) || isSeq(node)) && node.range;
    return range ? this.lineAt(range[0]) : undefined;
  }

  private lineAt(offset: number): number {
    return this.lines.linePos(offset).line;
  }
}
