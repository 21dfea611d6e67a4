// Packed kernels. Reading order: source, checksums; then the formats: lz4, gzip, xz (lzma2, x86-bcj), zstd (zstd-codes).

export { type Compression, compressionOf, MAX_UNPACKED_BYTES, unpack } from './unpack.js';
