import { type LogEntry, type Logger, type LogLevel, type logCreator, logLevel } from './api/logger.js';

const LABELS: Readonly<Record<number, string>> = {
  [logLevel.NOTHING]: 'NOTHING',
  [logLevel.ERROR]: 'ERROR',
  [logLevel.WARN]: 'WARN',
  [logLevel.INFO]: 'INFO',
  [logLevel.DEBUG]: 'DEBUG',
};

/** KafkaJS's default: one JSON line an entry, on the console. */
const consoleLogCreator: logCreator =
  () =>
  ({ namespace, level, label, log }) => {
    const line = JSON.stringify({
      level: label,
      ...log,
      message: namespace ? `[${namespace}] ${log.message}` : log.message,
    });
    if (level === logLevel.ERROR) console.error(line);
    else if (level === logLevel.WARN) console.warn(line);
    else if (level === logLevel.DEBUG) console.debug(line);
    else console.info(line);
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
    const at =
      (entryLevel: LogLevel) =>
      (message: string, extra: object = {}) => {
        if (entryLevel > current) return;
        write ??= creator(level);
        const timestamp = new Date(wallMs()).toISOString();
        write({
          namespace,
          level: entryLevel,
          label: LABELS[entryLevel]!,
          log: { timestamp, logger: 'tabstream', message, ...extra },
        });
      };
    return {
      error: at(logLevel.ERROR),
      warn: at(logLevel.WARN),
      info: at(logLevel.INFO),
      debug: at(logLevel.DEBUG),
      namespace: (name, childLevel) => make(name, childLevel ?? current),
      setLogLevel: (next) => {
        current = next;
      },
    };
  };
  return make('', level);
}
