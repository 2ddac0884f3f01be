/** `Symbol.asyncDispose`, also where the engine does not have it yet (WebKit): then nobody else can look for it. */
export const ASYNC_DISPOSE: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');
