import { KafkaError } from '../protocol/errors.js';
import { concatBytes } from '../util/bytes.js';
import { compressionName } from './compression-name.js';
import { type CompressionType, CompressionTypes } from './compression-types.js';
import { framedSnappy } from './snappy-framing.js';

/** A codec as KafkaJS's plug-ins are written. The bytes that come in are the codec's to read, not to keep. */
export interface CompressionCodec {
  compress(encoder: { readonly buffer: Uint8Array }): Promise<Uint8Array>;
  decompress(buffer: Uint8Array): Promise<Uint8Array>;
}

/**
 * The codecs by type. GZIP is built in; others are added as in KafkaJS:
 *
 *   CompressionCodecs[CompressionTypes.LZ4] = () => ({ compress, decompress });
 *
 * A Snappy codec works on bare blocks or on the framed form of Java clients: both are understood around it.
 */
export const CompressionCodecs: { [type in Exclude<CompressionType, 0>]?: () => CompressionCodec } = {
  [CompressionTypes.GZIP]: () => ({
    compress: ({ buffer }) => pipeThrough(buffer, new CompressionStream('gzip')),
    decompress: (buffer) => pipeThrough(buffer, new DecompressionStream('gzip')),
  }),
};

/** @throws KafkaError UNSUPPORTED_COMPRESSION_TYPE: no codec is registered for it. */
export async function compress(type: CompressionType, bytes: Uint8Array): Promise<Uint8Array> {
  if (type === CompressionTypes.None) return bytes;
  return codecOf(type).compress({ buffer: bytes });
}

/**
 * @throws KafkaError UNSUPPORTED_COMPRESSION_TYPE: no codec is registered for it. CORRUPT_MESSAGE: the codec refused
 *   the bytes; its own error is the cause.
 */
export async function decompress(type: CompressionType, bytes: Uint8Array): Promise<Uint8Array> {
  if (type === CompressionTypes.None) return bytes;
  const codec = codecOf(type);
  try {
    return await codec.decompress(bytes);
  } catch (cause) {
    if (cause instanceof KafkaError) throw cause;
    throw new KafkaError('CORRUPT_MESSAGE', `expected ${compressionName(type)} data: ${String(cause)}`, { cause });
  }
}

function codecOf(type: Exclude<CompressionType, 0>): CompressionCodec {
  const codec = CompressionCodecs[type]?.();
  if (codec === undefined) {
    throw new KafkaError(
      'UNSUPPORTED_COMPRESSION_TYPE',
      `no codec for ${compressionName(type)}: expected one in CompressionCodecs[${type}]`,
    );
  }
  return type === CompressionTypes.Snappy ? framedSnappy(codec) : codec;
}

/** Read by a loop, since WebKit's streams cannot be iterated. */
async function pipeThrough(bytes: Uint8Array, stream: CompressionStream | DecompressionStream): Promise<Uint8Array> {
  const writer = stream.writable.getWriter();
  // Failures of writing are those of reading: only one of them may be left to be thrown.
  const written = Promise.allSettled([writer.write(bytes as Uint8Array<ArrayBuffer>), writer.close()]);
  const reader = stream.readable.getReader();
  const parts: Uint8Array[] = [];
  for (let read = await reader.read(); !read.done; read = await reader.read()) parts.push(read.value);
  await written;
  return parts.length === 1 ? parts[0]! : concatBytes(parts);
}
