import { ThalamusError } from '@thalamus/errors';

/** @throws CONFIG_INVALID naming the setting */
export function requirePositive(name: string, value: number): void {
  if (!(value > 0) || !Number.isFinite(value)) fail(`${name} is ${value}; give a number above 0.`);
}

/** @throws CONFIG_INVALID naming the setting */
export function requireNotNegative(name: string, value: number): void {
  if (!(value >= 0) || !Number.isFinite(value)) fail(`${name} is ${value}; give a number of 0 or more.`);
}

/** @throws CONFIG_INVALID naming the setting */
export function requireShare(name: string, value: number): void {
  if (!(value >= 0 && value < 1)) fail(`${name} is ${value}; give a share from 0 to below 1.`);
}

/** @throws CONFIG_INVALID naming the setting */
export function requireShareOfAll(name: string, value: number): void {
  if (!(value > 0 && value <= 1)) fail(`${name} is ${value}; give a share above 0, at most 1.`);
}

/** @throws CONFIG_INVALID with the message when it does not hold */
export function requireSetting(holds: boolean, message: string): void {
  if (!holds) fail(message);
}

function fail(message: string): never {
  throw new ThalamusError('CONFIG_INVALID', message);
}
