import type { ClientRuntime } from '../runtime/runtime.js';
import type { RetryOptions } from './api/kafka.js';
import { KafkaJSError, KafkaJSNumberOfRetriesExceeded, KafkaJSProtocolError, toKafkaJSError } from './errors.js';

/** KafkaJS's defaults. */
export const DEFAULT_RETRY: Required<RetryOptions> = {
  maxRetryTime: 30_000,
  initialRetryTime: 300,
  factor: 0.2,
  multiplier: 2,
  retries: 5,
  restartOnFailure: async () => true,
};

/** Before each look for a topic or a partition that others know, and whose news may be late here. */
export const LATE_NEWS_WAITS_MS: readonly number[] = [0, 25, 50, 100];

/** First wait after a leader was lost: a new one is usually there within tens of ms, long before `initialRetryTime`. */
const FAILOVER_RETRY_MS = 10;

const FAILOVER_ERRORS: ReadonlySet<string> = new Set([
  'NOT_LEADER_OR_FOLLOWER',
  'NETWORK_EXCEPTION',
  'NOT_CONTROLLER',
  'NOT_COORDINATOR',
  'COORDINATOR_NOT_AVAILABLE',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'LEADER_NOT_AVAILABLE',
  'FENCED_LEADER_EPOCH',
]);

export interface Attempt {
  /** 0 for the first. */
  readonly retryCount: number;
}

/** How long to wait before the next attempt. */
export function retryDelayMs(
  error: unknown,
  {
    retryCount,
    options,
    random,
  }: { retryCount: number; options: Required<RetryOptions>; random: ClientRuntime['random'] },
): number {
  const { initialRetryTime, factor, multiplier, maxRetryTime } = options;
  const jitter = 1 - factor + 2 * factor * random.next();
  // The broker has waited for space already, and will again: whoever comes back soon is there when there is some.
  if (error instanceof KafkaJSError && error.storage !== undefined) return initialRetryTime * jitter;
  if (error instanceof KafkaJSProtocolError && FAILOVER_ERRORS.has(error.type)) {
    // At once, then from 10 ms up, until the ordinary schedule is reached.
    if (retryCount === 0) return 0;
    const quick = FAILOVER_RETRY_MS * multiplier ** (retryCount - 1);
    if (quick < initialRetryTime) return quick * jitter;
  }
  return Math.min(initialRetryTime * multiplier ** Math.min(retryCount, 30) * jitter, maxRetryTime);
}

export interface RetryScope {
  readonly runtime: ClientRuntime;
  readonly options: Required<RetryOptions>;
  readonly signal?: AbortSignal | undefined;
  /** Which errors are tried again; by default those that say so themselves. */
  readonly retriable?: ((error: unknown) => boolean) | undefined;
}

/**
 * The one back-off loop. Failures that are not retriable are thrown as they are; when attempts run out, the last is the
 * cause of a `KafkaJSNumberOfRetriesExceeded`. Quick attempts while a leader is being replaced do not count.
 */
export async function withRetry<T>(scope: RetryScope, attempt: (at: Attempt) => Promise<T>): Promise<T> {
  const { runtime, options, signal } = scope;
  const retriable = scope.retriable ?? isRetriable;
  let counted = 0;
  for (let retryCount = 0; ; retryCount++) {
    try {
      signal?.throwIfAborted();
      return await attempt({ retryCount });
    } catch (caught) {
      const error = toKafkaJSError(caught);
      if (signal?.aborted || !(error instanceof Error) || !retriable(error)) throw error;
      const delayMs = retryDelayMs(error, { retryCount, options, random: runtime.random });
      if (delayMs >= options.initialRetryTime * (1 - options.factor)) counted++;
      if (counted > options.retries || options.retries === 0) {
        throw new KafkaJSNumberOfRetriesExceeded(error, { retryCount, retryTime: delayMs });
      }
      if (delayMs > 0) await runtime.clock.sleep(delayMs, signal);
    }
  }
}

export function isRetriable(error: unknown): boolean {
  return error instanceof KafkaJSError && error.retriable;
}
