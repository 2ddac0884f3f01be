/** Does a job again and again, `pauseMs` apart, until aborted. A failure is logged and does not end it. */
export function forever(signal: AbortSignal, pauseMs: number, job: () => Promise<void>): void {
  const loop = async (): Promise<void> => {
    while (!signal.aborted) {
      await job().catch((error: unknown) => {
        if (!signal.aborted) console.warn(error);
      });
      await pause(pauseMs, signal);
    }
  };
  void loop();
}

/** Resolves after `ms`, or at once when aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end);
  });
}
