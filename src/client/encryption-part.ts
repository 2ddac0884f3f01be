import { KafkaError } from '../protocol/errors.js';

/** Loaded by the first batch that is encrypted. @throws KafkaError NETWORK_EXCEPTION: it could not be. */
export function encryptionPart(): Promise<typeof import('./encryption.js')> {
  return import('./encryption.js').catch((cause: unknown) => {
    throw new KafkaError('NETWORK_EXCEPTION', `the code for encrypted batches could not be loaded: ${cause}`, {
      cause,
    });
  });
}
