import type { ApiName, Requests, Responses } from './requests.js';

export interface SendOptions {
  /** Ends the wait. Whether the request was carried out is then unknown. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The one way from a client to a cluster, and from one host to another.
 *
 * Buffers in a request belong to the receiver after the call (they may be transferred), and so do buffers in a response.
 */
export interface RequestChannel {
  /**
   * Answers with the response, or fails as a whole. A failure of one topic or partition is an error code inside
   * the response, as in Kafka.
   * @throws KafkaError NETWORK_EXCEPTION: the peer died, the outcome is unknown. REQUEST_TIMED_OUT: no answer in time,
   *   the outcome is unknown. NOT_LEADER_OR_FOLLOWER, NOT_CONTROLLER: nobody could take it; nothing was done.
   */
  send<A extends ApiName>(api: A, request: Requests[A], options?: SendOptions): Promise<Responses[A]>;
  /** Fails what is in flight and frees everything. Idempotent. */
  close(): Promise<void>;
}
