/**
 * Gives back the memory of bytes that nobody reads any more, with all of their buffer, where the platform can do so at
 * once (ES2024). Else its garbage collector does, which may let a hundred megabytes of buffers gather.
 */
export function free({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer) (buffer as { transfer?(length: number): unknown }).transfer?.(0);
}
