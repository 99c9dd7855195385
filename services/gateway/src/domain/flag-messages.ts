import type { routerV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { FLAG_LEVELS, FLAG_NAMES, isFlagName, type Flag, type FlagLevel } from '@thalamus/routing';

/** Flags of a gRPC request. @throws FLAG_INVALID with the index of the faulty one */
export function flagsFromMessages(messages: readonly routerV1.Flag[]): Flag[] {
  const seen = new Set<string>();
  return messages.map((message, index) => {
    const fail = (reason: string) =>
      new ThalamusError('FLAG_INVALID', `flags[${index}]: ${reason}.`, {
        violations: [{ field: `flags[${index}]`, description: reason }],
      });
    const flag = toFlag(message, fail);
    if (flag.kind !== 'level' && !(flag.value >= 0 && Number.isFinite(flag.value)))
      throw fail(`${flag.name} is ${flag.value}; it must be 0 or more`);
    const slot = `${flag.name}/${flag.kind === 'level' ? 'weight' : flag.kind}`;
    if (seen.has(slot)) throw fail(`${flag.name} is given twice`);
    seen.add(slot);
    return flag;
  });
}

function toFlag({ name, form }: routerV1.Flag, fail: (reason: string) => ThalamusError): Flag {
  if (!isFlagName(name))
    throw fail(`the name "${name.slice(0, 40)}" is unknown; known are ${FLAG_NAMES.join(', ')}`);
  if (form.case === undefined) throw fail(`${name} needs a weight, a level or a limit`);
  if (form.case !== 'level') return { name, kind: form.case, value: form.value };
  if (!(FLAG_LEVELS as readonly string[]).includes(form.value))
    throw fail(`${name} has the level "${form.value.slice(0, 40)}"; known are ${FLAG_LEVELS.join(', ')}`);
  return { name, kind: 'level', level: form.value as FlagLevel };
}
