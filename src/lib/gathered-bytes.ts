const EMPTY = Buffer.alloc(0);

/**
 * Bytes that come in pieces, made one as they come: their memory is in proportion to their number, however small the pieces are. A
 * piece that is kept as an object of its own costs a hundred bytes and more. What comes in one piece is not copied.
 */
export class GatheredBytes {
  #bytes: Buffer = EMPTY;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    if (this.#length === 0) this.#bytes = asBuffer(piece);
    else {
      // The first piece is somebody else's, but it is full: nothing is ever written into it.
      if (length > this.#bytes.length) this.#grow(length);
      this.#bytes.set(piece, this.#length);
    }
    this.#length = length;
  }

  /** All of them; none are left after it. */
  take(): Buffer {
    const whole = this.#bytes.length === this.#length ? this.#bytes : this.#bytes.subarray(0, this.#length);
    this.#bytes = EMPTY;
    this.#length = 0;
    return whole;
  }

  /** To twice of what is needed, so that each byte is copied about once more, however many pieces come. */
  #grow(length: number): void {
    const larger = Buffer.allocUnsafe(2 * length);
    this.#bytes.copy(larger);
    this.#bytes = larger;
  }
}

function asBuffer(piece: Uint8Array): Buffer {
  return Buffer.isBuffer(piece) ? piece : Buffer.from(piece.buffer, piece.byteOffset, piece.length);
}
