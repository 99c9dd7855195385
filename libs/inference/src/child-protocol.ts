import type { ErrorCode, FieldViolation } from '@thalamus/errors';
import type { Tensor } from '@thalamus/tensor';
import type {
  Feeds,
  ModelSource,
  SessionOptions,
  SessionValue,
  TableColumns,
} from './inference-runtime.port.js';

/** What the parent asks of the child that runs models. */
export type ChildRequest =
  | {
      readonly id: number;
      readonly kind: 'load';
      readonly session: number;
      readonly source: ModelSource;
      readonly options: SessionOptions;
    }
  | {
      readonly id: number;
      readonly kind: 'run';
      readonly session: number;
      readonly feeds: Feeds;
      readonly outputs: readonly string[] | undefined;
      readonly tables: readonly number[];
    }
  | { readonly id: number; readonly kind: 'table'; readonly table: number; readonly columns: TableColumns }
  | {
      readonly id: number;
      readonly kind: 'row';
      readonly table: number;
      readonly row: number;
      readonly values: Feeds;
    }
  | { readonly id: number; readonly kind: 'drop'; readonly table: number }
  /** Loads the library, before there is a model. */
  | { readonly id: number; readonly kind: 'prepare' }
  /** Says what the process is for from now on. */
  | { readonly id: number; readonly kind: 'name'; readonly name: string }
  | { readonly id: number; readonly kind: 'release'; readonly session: number };

/** A request before it has a number. */
export type ChildRequestBody = ChildRequest extends infer R
  ? R extends ChildRequest
    ? Omit<R, 'id'>
    : never
  : never;

/** What the child answers. */
export type ChildReply =
  | {
      readonly id: number;
      readonly kind: 'loaded';
      readonly inputs: readonly SessionValue[];
      readonly outputs: readonly SessionValue[];
    }
  | { readonly id: number; readonly kind: 'ran'; readonly outputs: Readonly<Record<string, Tensor>> }
  | { readonly id: number; readonly kind: 'released' }
  | { readonly id: number; readonly kind: 'kept' }
  | { readonly id: number; readonly kind: 'prepared' }
  | {
      readonly id: number;
      readonly kind: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly violations: readonly FieldViolation[];
    };

/** A reply of one kind. */
export type ReplyOf<K extends ChildReply['kind']> = Extract<ChildReply, { readonly kind: K }>;
