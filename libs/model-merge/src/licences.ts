/** Whether works derived of something may be made and passed on under its licence (SPDX identifier or expression). */
export function derivedLicence(licence: string): boolean {
  return licence.trim() !== '' && !/\b(NONE|NOASSERTION)\b|-ND\b|-ND-/i.test(licence);
}

/** Whether a licence demands that derived works carry that same licence. */
export function isShareAlike(licence: string): boolean {
  return /-SA\b|-SA-|\bA?GPL-/i.test(licence);
}

/** The licence of a work made of several: all of them at once, each once, sorted, as an SPDX expression. */
export function combinedLicence(licences: readonly string[]): string {
  const parts = [...new Set(licences.flatMap((licence) => licence.split(/\s+AND\s+/)))].sort();
  return parts
    .map((part) => (/\sOR\s/.test(part) && parts.length > 1 && !part.startsWith('(') ? `(${part})` : part))
    .join(' AND ');
}
