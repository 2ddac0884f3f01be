import { type LogEntry, type Logger, type LogLevel, type logCreator, logLevel } from './api/logger.js';

type Severity = 'error' | 'warn' | 'info' | 'debug';

/** KafkaJS's default: one JSON line an entry, on the console. */
const consoleLogCreator: logCreator =
  () =>
  ({ namespace, label, log }) => {
    const message = namespace ? `[${namespace}] ${log.message}` : log.message;
    console[label.toLowerCase() as Severity](JSON.stringify({ level: label, ...log, message }));
  };

interface LoggerOptions {
  readonly level?: LogLevel | undefined;
  readonly creator?: logCreator | undefined;
  readonly wallMs: () => number;
}

/** The root logger of one `Kafka`. `setLogLevel` of a logger holds for it and for those made from it later. */
export function makeLogger({ level = logLevel.INFO, creator = consoleLogCreator, wallMs }: LoggerOptions): Logger {
  let write: ((entry: LogEntry) => void) | undefined;

  const make = (namespace: string, initialLevel: LogLevel): Logger => {
    let current = initialLevel;
    const at = (severity: Severity) => {
      const label = severity.toUpperCase() as Uppercase<Severity>;
      return (message: string, extra: object = {}) => {
        if (logLevel[label] > current) return;
        write ??= creator(level);
        const timestamp = new Date(wallMs()).toISOString();
        write({ namespace, level: logLevel[label], label, log: { timestamp, logger: 'tabstream', message, ...extra } });
      };
    };
    return {
      error: at('error'),
      warn: at('warn'),
      info: at('info'),
      debug: at('debug'),
      namespace: (name, childLevel) => make(name, childLevel ?? current),
      setLogLevel: (next) => {
        current = next;
      },
    };
  };
  return make('', level);
}
