import type { MessageInitShape } from '@bufbuild/protobuf';
import type { routerV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { FLAG_LEVELS, FLAG_NAMES, isFlagName, type Flag, type FlagLevel } from '@thalamus/routing';

/** Flags of a request. @throws FLAG_INVALID with the index of the faulty one */
export function flagsFromMessages(messages: readonly routerV1.Flag[]): Flag[] {
  const seen = new Set<string>();
  return messages.map((message, index) => {
    const fail = (reason: string) =>
      new ThalamusError('FLAG_INVALID', `flags[${index}]: ${reason}.`, {
        violations: [{ field: `flags[${index}]`, description: reason }],
      });
    const { name, form } = message;
    if (!isFlagName(name)) throw fail(`the name "${name}" is unknown; known are ${FLAG_NAMES.join(', ')}`);
    const flag = toFlag(name, form);
    if (flag === undefined)
      throw fail(`${name} needs a weight, a level (${FLAG_LEVELS.join(', ')}) or a limit`);
    if (flag.kind !== 'level' && !(flag.value >= 0 && Number.isFinite(flag.value)))
      throw fail(`${name} is ${flag.value}; it must be 0 or more`);
    const slot = `${name}/${flag.kind === 'level' ? 'weight' : flag.kind}`;
    if (seen.has(slot)) throw fail(`${name} is given twice`);
    seen.add(slot);
    return flag;
  });
}

function toFlag(name: Flag['name'], form: routerV1.Flag['form']): Flag | undefined {
  switch (form.case) {
    case 'weight':
      return { name, kind: 'weight', value: form.value };
    case 'atMost':
      return { name, kind: 'atMost', value: form.value };
    case 'atLeast':
      return { name, kind: 'atLeast', value: form.value };
    case 'level':
      return (FLAG_LEVELS as readonly string[]).includes(form.value)
        ? { name, kind: 'level', level: form.value as FlagLevel }
        : undefined;
    case undefined:
      return undefined;
  }
}

/** Flags as messages. */
export function flagsToMessages(flags: readonly Flag[]): MessageInitShape<typeof routerV1.FlagSchema>[] {
  return flags.map((flag) => ({
    name: flag.name,
    form:
      flag.kind === 'level' ? { case: 'level', value: flag.level } : { case: flag.kind, value: flag.value },
  }));
}
