import { KafkaError } from '../protocol/errors.js';

/**
 * What `read` resolves to, once more each time that the beginning of its log was deleted meanwhile: who does not lead a log
 * reads it while others delete.
 */
export async function readAgainWhereDeleted<T>(read: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof KafkaError) || error.type !== 'OFFSET_OUT_OF_RANGE') throw error;
    }
  }
}
