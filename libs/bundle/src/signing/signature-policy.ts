import type { KeyObject } from 'node:crypto';
import { ThalamusError } from '@thalamus/errors';
import type { Digest } from '../digest.js';
import { isSignedBy, type BundleSignature } from './bundle-signature.js';
import { readTrustedKeys } from './signing-keys.js';

/** Settings of a policy. */
export interface SignatureSettings {
  /** File with public keys in PEM; without it nothing can be verified. */
  readonly trustedKeysFile?: string | undefined;
  /** `required`: what is not signed by a trusted key is refused. `checked`: only what a trusted key signed wrongly is. */
  readonly signatures: 'checked' | 'required';
}

/** Which bundles may be registered and opened. */
export class SignaturePolicy {
  private constructor(
    private readonly keys: ReadonlyMap<string, KeyObject>,
    private readonly isRequired: boolean,
  ) {}

  /** Whether a check can refuse anything. */
  get isActive(): boolean {
    return this.isRequired || this.keys.size > 0;
  }

  /** Reads the trusted keys. @throws CONFIG_INVALID when there are none but signatures are required */
  static load({ trustedKeysFile, signatures }: SignatureSettings): SignaturePolicy {
    const isRequired = signatures === 'required';
    if (trustedKeysFile !== undefined)
      return new SignaturePolicy(readTrustedKeys(trustedKeysFile), isRequired);
    if (isRequired)
      throw new ThalamusError(
        'CONFIG_INVALID',
        'THALAMUS_SIGNATURES is required, but THALAMUS_TRUSTED_KEYS names no file of public keys; set both or neither.',
      );
    return new SignaturePolicy(new Map(), false);
  }

  /**
   * Whether a trusted key signed the digest of a manifest. `what` is named in refusals.
   * @throws SIGNATURE_REFUSED for a signature of a trusted key that does not fit, and where none is there that is required
   */
  check(
    what: string,
    digest: Digest,
    signatures: readonly Pick<BundleSignature, 'keyId' | 'value'>[],
  ): boolean {
    let isSigned = false;
    for (const signature of signatures) {
      const key = this.keys.get(signature.keyId);
      if (!key) continue;
      if (!isSignedBy(key, digest, signature))
        throw refusedSignature(
          `The signature of ${what} by the trusted key ${signature.keyId} is not one of ${digest}; sign the bundle again.`,
        );
      isSigned = true;
    }
    if (isSigned || !this.isRequired) return isSigned;
    const by = signatures.map(({ keyId }) => keyId).join(', ');
    throw refusedSignature(
      `${what} (${digest}) is ${by === '' ? 'not signed' : `signed by ${by}, which THALAMUS_TRUSTED_KEYS does not list`}, and signatures are required; sign it with "thalamus experts sign" and a trusted key.`,
    );
  }
}

function refusedSignature(message: string): ThalamusError {
  return new ThalamusError('SIGNATURE_REFUSED', message);
}
