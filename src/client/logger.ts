import { type LogEntry, type Logger, type LogLevel, type logCreator, logLevel } from './api/logger.js';

type Severity = 'error' | 'warn' | 'info' | 'debug';

/** KafkaJS's default: one JSON line an entry, on the console. */
const consoleLogCreator: logCreator =
  () =>
  ({ namespace, label, log }) => {
    const message = namespace ? `[${namespace}] ${log.message}` : log.message;
    const severity = label.toLowerCase() as Severity;
    // Browsers show what `console.debug` says only to those who ask for it twice.
    console[severity === 'debug' ? 'log' : severity](JSON.stringify({ level: label, ...log, message }));
  };

interface LoggerOptions {
  readonly level?: LogLevel | undefined;
  readonly creator?: logCreator | undefined;
  readonly wallMs: () => number;
}

/** The root logger of one `Kafka`. `setLogLevel` of any logger holds for all that were made without a level of their own. */
export function makeLogger({ level = logLevel.INFO, creator = consoleLogCreator, wallMs }: LoggerOptions): Logger {
  const write: (entry: LogEntry) => void = creator(level);
  let current = level;

  const make = (namespace: string, own?: LogLevel): Logger => {
    const at = (severity: Severity) => {
      const label = severity.toUpperCase() as Uppercase<Severity>;
      return (message: string, extra: object = {}) => {
        if (logLevel[label] > (own ?? current)) return;
        const timestamp = new Date(wallMs()).toISOString();
        write({ namespace, level: logLevel[label], label, log: { timestamp, logger: 'tabstream', message, ...extra } });
      };
    };
    return {
      error: at('error'),
      warn: at('warn'),
      info: at('info'),
      debug: at('debug'),
      namespace: make,
      setLogLevel: (next) => {
        current = next;
      },
    };
  };
  return make('');
}
