/** Largest message that servers and clients accept, in bytes. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
