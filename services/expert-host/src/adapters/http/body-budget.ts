import { ThalamusError } from '@thalamus/errors';
import type { IncomingMessage } from 'node:http';

/** How often the largest body may be held at once. */
const BODIES_HELD = 8;

/** Reads bodies within two bounds: that of one body, and that of all that are held at once. */
export class BodyBudget {
  private held = 0;

  constructor(private readonly maxBodyBytes: number) {}

  /** Bytes that are held now. */
  get heldBytes(): number {
    return this.held;
  }

  /**
   * The whole body; it counts as held until `release` is called, which the caller does when its answer is out.
   * @throws REQUEST_TOO_LARGE, EXPERT_OVERLOADED with a time to retry, and the reason of the signal
   */
  async read(
    request: IncomingMessage,
    signal: AbortSignal,
  ): Promise<{ readonly body: Uint8Array; readonly release: () => void }> {
    if (Number(request.headers['content-length'] ?? 0) > this.maxBodyBytes) throw this.tooLarge();
    const chunks: Buffer[] = [];
    let size = 0;
    const release = () => {
      this.held -= size;
      size = 0;
    };
    try {
      for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        signal.throwIfAborted();
        if (size + chunk.byteLength > this.maxBodyBytes) throw this.tooLarge();
        if (this.held + chunk.byteLength > BODIES_HELD * this.maxBodyBytes)
          throw new ThalamusError(
            'EXPERT_OVERLOADED',
            `${this.held} bytes of requests are being served; try again in a moment.`,
            { retryAfterMs: 500 },
          );
        this.held += chunk.byteLength;
        size += chunk.byteLength;
        chunks.push(chunk);
      }
    } catch (fault) {
      release();
      if (signal.aborted) throw signal.reason;
      throw ThalamusError.is(fault) ? fault : new ThalamusError('CANCELLED', 'The client went away.');
    }
    return { body: chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks), release };
  }

  private tooLarge(): ThalamusError {
    return new ThalamusError(
      'REQUEST_TOO_LARGE',
      `The body has more than ${this.maxBodyBytes} bytes; send less, or set THALAMUS_MAX_BODY_BYTES.`,
    );
  }
}
