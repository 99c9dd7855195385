import { z } from 'zod';

/** Name of an expert. */
export const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be 1 to 63 lower-case letters, digits or hyphens');

/** A registered version or data set. */
export const reference = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}@(0|[1-9]\d{0,18})$/, 'must be name@version, such as banking77@1');

/** Columns of the data that are left alone; any other unknown column is refused. */
export const ignoredColumns = z.array(z.string().min(1)).max(64).default([]);

/** Seed of what is drawn. */
export const seed = z.number().int().min(0).max(2_147_483_647).default(0);
