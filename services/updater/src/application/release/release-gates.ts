import { digestOf, parseDigest, readArtifact, type ArtifactStore } from '@thalamus/bundle';
import { parseGate, type GateDocument } from '@thalamus/compatibility';
import { ThalamusError } from '@thalamus/errors';
import type { ReleaseRecord } from '../../domain/release/release-states.js';
import { within } from './within.js';

/** Largest document of a gate. */
export const MAX_GATE_BYTES = 64 * 2 ** 10;
/** How long reading one may take, milliseconds. */
const READ_MS = 5_000;
/** Documents that are remembered. */
const MAX_DOCUMENTS = 256;

/** A document that came with a request. */
export interface GivenGate {
  readonly document: GateDocument;
  readonly digest: string;
}

/** The documents of gates: kept among the artifacts, and read back by the digest that the registry has of them. */
export class ReleaseGates {
  private readonly documents = new Map<string, GateDocument>();

  constructor(private readonly artifacts: ArtifactStore) {}

  /**
   * The document in a request; undefined when there is none.
   * @throws REQUEST_TOO_LARGE, REQUEST_INVALID that names line and field of each fault
   */
  given(bytes: Uint8Array): GivenGate | undefined {
    if (bytes.byteLength === 0) return undefined;
    if (bytes.byteLength > MAX_GATE_BYTES)
      throw new ThalamusError(
        'REQUEST_TOO_LARGE',
        `The gate has ${bytes.byteLength} bytes; a release takes at most ${MAX_GATE_BYTES}.`,
      );
    const document = parsed(bytes, 'The document');
    const digest = digestOf(bytes);
    this.remember(digest, document);
    return { document, digest };
  }

  /** Stores a document under its digest. */
  async keep(bytes: Uint8Array): Promise<void> {
    await this.artifacts.put(bytes);
  }

  /** True when all that is needed to judge the release is at hand: it has no gate, or its document was read. */
  isRead({ details }: ReleaseRecord): boolean {
    return !details.gate || this.documents.has(details.gate.digest);
  }

  /** The document of a release; undefined when it has none, or it was not read yet. */
  of({ details }: ReleaseRecord): GateDocument | undefined {
    return details.gate && this.documents.get(details.gate.digest);
  }

  /** Reads the document of a release unless it was. @throws ARTIFACT_NOT_FOUND, ARTIFACT_CORRUPT, REQUEST_INVALID, DEADLINE_EXCEEDED */
  async read(release: ReleaseRecord): Promise<void> {
    const { gate } = release.details;
    if (!gate || this.isRead(release)) return;
    const bytes = await within(
      readArtifact(this.artifacts, parseDigest(gate.digest), MAX_GATE_BYTES),
      READ_MS,
    );
    this.remember(gate.digest, parsed(bytes, `The artifact ${gate.digest}`));
  }

  private remember(digest: string, document: GateDocument): void {
    this.documents.delete(digest);
    this.documents.set(digest, document);
    if (this.documents.size > MAX_DOCUMENTS)
      this.documents.delete(this.documents.keys().next().value as string);
  }
}

function parsed(bytes: Uint8Array, what: string): GateDocument {
  try {
    return parseGate(new TextDecoder('utf-8', { fatal: true }).decode(bytes), what);
  } catch (cause) {
    if (!ThalamusError.is(cause))
      throw new ThalamusError('REQUEST_INVALID', `${what} is not a valid gate: it is not UTF-8.`, {
        violations: [{ field: 'gate', description: 'must be UTF-8' }],
        cause,
      });
    const violations = cause.violations.map(({ field, description }) => ({
      field: field === 'gate' ? field : `gate.${field}`,
      description,
    }));
    throw new ThalamusError('REQUEST_INVALID', cause.message, { violations, cause });
  }
}
