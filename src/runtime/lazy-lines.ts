import type { Lines, LinesEnd } from './runtime.js';

/** Lines whose code is loaded when somebody else is there to speak to: a lone tab needs none. */
export function lazyLines(load: () => Promise<Lines>): Lines {
  return {
    open: (name, onMessage) => {
      let end: LinesEnd | undefined;
      let isClosed = false;
      let isLoading = false;
      const join = (): void => {
        if (isLoading) return end?.join();
        isLoading = true;
        load().then(
          (lines) => {
            if (isClosed) return;
            end = lines.open(name, onMessage);
            end.join();
          },
          () => {}, // it cannot be loaded: there are channels
        );
      };
      return {
        join,
        post: (to, message) => {
          if (end === undefined) join();
          return end?.post(to, message) ?? false;
        },
        drop: (to) => end?.drop(to),
        close: () => {
          isClosed = true;
          end?.close();
        },
      };
    },
  };
}
