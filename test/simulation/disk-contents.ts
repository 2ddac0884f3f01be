import { applyMetadataRecords, EMPTY_IMAGE, type MetadataImage } from '../../src/broker/metadata-image.js';
import { METADATA_LOG, metadataRecordsIn } from '../../src/broker/metadata-records.js';
import type { LogId } from '../../src/storage/log-store.js';
import type { MemoryDisk } from '../../src/storage/memory-disk.js';

/** All rows of a log. */
export function chunksOnDisk(disk: MemoryDisk, log: LogId): Uint8Array[] {
  return disk.read(log, 0, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
}

/** What the metadata log on the disk says. */
export function metadataOnDisk(disk: MemoryDisk): MetadataImage {
  const records = chunksOnDisk(disk, METADATA_LOG).flatMap((chunk) => metadataRecordsIn(chunk, 0));
  return applyMetadataRecords(EMPTY_IMAGE, records);
}

/** Logs of which anything is left. */
export function logsOnDisk(disk: MemoryDisk): LogId[] {
  return disk.logs().filter((log) => {
    const { logStartOffset, lastOffset, checkpoint, lastSegment } = disk.ends(log);
    const rows = chunksOnDisk(disk, log).length + disk.sealedSegments(log).length + disk.strayBytes(log);
    return logStartOffset > 0 || rows > 0 || [lastOffset, checkpoint, lastSegment].some((each) => each !== undefined);
  });
}
