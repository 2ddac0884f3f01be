/**
 * Calls `gone` once nobody holds `lockName`, which a peer holds for as long as it lives: it closed, was killed, or its
 * tab was. A frozen peer is not gone. Whoever else waits for that hears of it, too, should this one be frozen. Only of use
 * once the peer is known to hold its lock; without Web Locks (insecure contexts), and after the signal's abort, nothing is
 * ever called.
 */
export function onPeerGone(lockName: string, signal: AbortSignal, gone: () => void): void {
  const locks: LockManager | undefined = navigator.locks;
  locks?.request(lockName, { signal, mode: 'shared' }, gone).catch(() => {}); // aborted: it ended in another way
}
