import { errorFields, NO_ERROR } from '../protocol/errors.js';
import type { WriteTxnMarkersRequest, WriteTxnMarkersResponse } from '../protocol/requests.js';
import { unknownPartition } from './handle-metadata.js';
import type { ProduceContext } from './handle-produce.js';

type Marker = WriteTxnMarkersRequest['markers'][number];
type Partition = WriteTxnMarkersResponse['markers'][number]['topics'][number]['partitions'][number];

/** Ends transactions in the partitions that are named, each for itself; answers once the markers are durable. */
export async function writeTxnMarkers(
  context: ProduceContext,
  { markers }: WriteTxnMarkersRequest,
): Promise<WriteTxnMarkersResponse> {
  const written = markers.map(async (marker) => ({
    producerId: marker.producerId,
    topics: await Promise.all(
      marker.topics.map(async ({ name, partitionIndexes }) => ({
        name,
        partitions: await Promise.all(partitionIndexes.map((index) => write(context, marker, name, index))),
      })),
    ),
  }));
  return { markers: await Promise.all(written) };
}

async function write(
  { image, open }: ProduceContext,
  { producerId, producerEpoch, coordinatorEpoch, transactionResult }: Marker,
  name: string,
  partitionIndex: number,
): Promise<Partition> {
  try {
    const topic = image().topics.get(name);
    const partition = topic?.partitions[partitionIndex];
    if (topic === undefined || partition === undefined) throw unknownPartition(topic, name, partitionIndex);
    const type = transactionResult ? 'commit' : 'abort';
    await (await open(topic, partition)).appendEndMarker({ type, producerId, producerEpoch, coordinatorEpoch });
    return { partitionIndex, ...NO_ERROR };
  } catch (error) {
    return { partitionIndex, ...errorFields(error) };
  }
}
