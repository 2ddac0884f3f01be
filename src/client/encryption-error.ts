import { KafkaJSNonRetriableError } from './errors.js';

/** Records that cannot be encrypted or read, because of the key that `keyId` names. */
export class KafkaJSEncryptionError extends KafkaJSNonRetriableError {
  override readonly name: string = 'KafkaJSEncryptionError';
  readonly keyId: string;

  constructor(message: string, { keyId, cause }: { readonly keyId: string; readonly cause?: unknown }) {
    super(message, { cause });
    this.keyId = keyId;
  }
}
