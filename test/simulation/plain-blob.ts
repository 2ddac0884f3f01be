/** What is needed of a Blob, over memory: reading one of Node's ends off the event loop, in real time. */
export class PlainBlob {
  readonly bytes: Uint8Array<ArrayBuffer>;

  constructor(parts: readonly (Uint8Array | ArrayBuffer)[] = []) {
    const pieces = parts.map((part) => (part instanceof Uint8Array ? part : new Uint8Array(part)));
    this.bytes = new Uint8Array(pieces.reduce((size, { byteLength }) => size + byteLength, 0));
    let at = 0;
    for (const piece of pieces) {
      this.bytes.set(piece, at);
      at += piece.byteLength;
    }
  }

  get size(): number {
    return this.bytes.byteLength;
  }

  slice(from = 0, to = this.size): PlainBlob {
    return new PlainBlob([this.bytes.subarray(from, to)]);
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return this.bytes.slice().buffer;
  }
}
