import type { RawLogStore } from '../../src/storage/raw-log-store.js';

/** The same object, but before and after each call of it, or of a `RawLogStore` that it gives. */
export function calling<T extends object>(
  inner: T,
  beforeCall: () => Promise<void>,
  afterCall: () => Promise<void> = async () => {},
): T {
  return new Proxy(inner, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name, target);
      if (typeof method !== 'function') return method;
      return async (...args: unknown[]): Promise<unknown> => {
        await beforeCall();
        const result: unknown = await method.apply(target, args);
        await afterCall();
        return name === 'raw' ? calling(result as RawLogStore, beforeCall, afterCall) : result;
      };
    },
  });
}
