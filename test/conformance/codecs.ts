/** Registers a codec for each compression that is not built in, as an application would. */
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import lz4 from 'lz4js';
import snappy from 'snappyjs';
import { CompressionCodecs } from '../../src/record/compression.js';
import { CompressionTypes } from '../../src/record/compression-types.js';

CompressionCodecs[CompressionTypes.Snappy] = () => ({
  compress: async ({ buffer }) => snappy.compress(buffer),
  decompress: async (buffer) => snappy.uncompress(buffer),
});
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async ({ buffer }) => lz4.compress(buffer),
  decompress: async (buffer) => lz4.decompress(buffer),
});
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: ({ buffer }) => promisify(zstdCompress)(buffer),
  decompress: (buffer) => promisify(zstdDecompress)(buffer),
});
