import type { Locks } from './runtime.js';

/**
 * Resolves once nobody holds `lockName`, which a peer holds for as long as it lives: it closed, was killed, or its tab
 * was. A frozen peer is not gone. Only of use once the peer is known to hold its lock.
 * Rejects with the signal's reason when aborted.
 */
export async function peerGone(locks: Locks, lockName: string, signal: AbortSignal): Promise<void> {
  const lock = await locks.hold(lockName, { signal });
  lock.release();
}
