export { mintApiKey, parseApiKey, secretMatches, type MintedKey } from './api-key.js';
