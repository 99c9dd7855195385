/** SPDX's word for a licence that nobody has stated. */
export const NO_LICENCE_STATED = 'NOASSERTION';
