import type { LogEnds, LogId, LogStore, SealedSegment } from '../storage/log-store.js';

/** Where the parts of a log lie: what a look at several of them compares, before it says that one is missing. */
export interface LogLayout extends Pick<LogEnds, 'logStartOffset' | 'sealedEndOffset' | 'lastSegment'> {
  readonly sealed: readonly SealedSegment[];
}

export async function layoutOf(store: LogStore, log: LogId): Promise<LogLayout> {
  const { logStartOffset, sealedEndOffset, lastSegment } = await store.ends(log);
  const sealed = sealedEndOffset > 0 ? await store.sealedSegments(log) : [];
  return { logStartOffset, sealedEndOffset, lastSegment, sealed };
}

/** Nothing was deleted, closed, sealed or rewritten between the two. */
export function isSameLayout(a: LogLayout, b: LogLayout): boolean {
  return textOf(a) === textOf(b);
}

function textOf({ logStartOffset, sealedEndOffset, lastSegment, sealed }: LogLayout): string {
  const versions = sealed.map(({ baseOffset, version }) => [baseOffset, version]);
  return JSON.stringify([logStartOffset, sealedEndOffset, lastSegment?.nextOffset, versions]);
}
