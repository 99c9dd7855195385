import type { routerV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { FLAG_LEVELS, FLAG_NAMES, isFlagName, type Flag, type FlagLevel } from '@thalamus/routing';

/** Flags of a gRPC request. @throws FLAG_INVALID with the index of the faulty one */
export function flagsFromMessages(messages: readonly routerV1.Flag[]): Flag[] {
  return messages.map(({ name, form }, index) => {
    const fail = (reason: string) =>
      new ThalamusError('FLAG_INVALID', `flags[${index}]: ${reason}.`, {
        violations: [{ field: `flags[${index}]`, description: reason }],
      });
    if (!isFlagName(name)) throw fail(`the name "${name}" is unknown; known are ${FLAG_NAMES.join(', ')}`);
    if (form.case === undefined) throw fail(`${name} needs a weight, a level or a limit`);
    if (form.case !== 'level') return { name, kind: form.case, value: form.value };
    if (!(FLAG_LEVELS as readonly string[]).includes(form.value))
      throw fail(`${name} has the level "${form.value}"; known are ${FLAG_LEVELS.join(', ')}`);
    return { name, kind: 'level', level: form.value as FlagLevel };
  });
}
