import { KafkaError } from '../protocol/errors.js';
import { concatBytes, int32At, setInt32 } from '../util/bytes.js';
import type { CompressionCodec } from './compression.js';

/*
 * The form in which Java clients write snappy (xerial's snappy-java, SnappyOutputStream):
 *
 *   magic 8 (0x82 'SNAPPY' 0) · version 4 · lowest compatible version 4 · (blockLength 4 · snappy block)*
 */
const MAGIC = Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0);
const VERSION = 1;
const HEAD_BYTES = 16;

/**
 * A snappy codec that reads both bare blocks and Java's frames, made of one that reads bare blocks (or both), and that
 * writes frames, which every Kafka client reads.
 */
export function framedSnappy(codec: CompressionCodec): CompressionCodec {
  return {
    async compress(encoder) {
      const block = await codec.compress(encoder);
      return isFramed(block) ? block : frame(block);
    },
    async decompress(buffer) {
      if (!isFramed(buffer)) return codec.decompress(buffer);
      const parts: Uint8Array[] = [];
      for (const block of blocksOf(buffer)) parts.push(await codec.decompress(block));
      return concatBytes(parts);
    },
  };
}

function isFramed(bytes: Uint8Array): boolean {
  return bytes.length >= HEAD_BYTES && MAGIC.every((byte, i) => bytes[i] === byte);
}

function frame(block: Uint8Array): Uint8Array {
  const framed = new Uint8Array(HEAD_BYTES + 4 + block.length);
  framed.set(MAGIC);
  setInt32(framed, 8, VERSION);
  setInt32(framed, 12, VERSION);
  setInt32(framed, HEAD_BYTES, block.length);
  framed.set(block, HEAD_BYTES + 4);
  return framed;
}

function blocksOf(bytes: Uint8Array): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  for (let at = HEAD_BYTES; at < bytes.length; ) {
    const size = bytes.length - at < 4 ? -1 : int32At(bytes, at);
    const start = at + 4;
    if (size < 0 || size > bytes.length - start) {
      throw new KafkaError(
        'CORRUPT_MESSAGE',
        `snappy frame at byte ${at}: ${bytes.length - at} bytes are no whole block`,
      );
    }
    blocks.push(bytes.subarray(start, start + size));
    at = start + size;
  }
  return blocks;
}
