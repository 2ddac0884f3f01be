/** KafkaJS's levels. */
export const logLevel = { NOTHING: 0, ERROR: 1, WARN: 2, INFO: 4, DEBUG: 5 } as const;
export type LogLevel = (typeof logLevel)[keyof typeof logLevel];
/** As KafkaJS's enum is also its type. */
export type logLevel = LogLevel;

export interface LoggerEntryContent {
  readonly timestamp: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

export interface LogEntry {
  readonly namespace: string;
  readonly level: LogLevel;
  readonly label: string;
  readonly log: LoggerEntryContent;
}

/** Makes the function that writes entries; called once a `Kafka`. */
export type logCreator = (level: LogLevel) => (entry: LogEntry) => void;

export interface Logger {
  error(message: string, extra?: object): void;
  warn(message: string, extra?: object): void;
  info(message: string, extra?: object): void;
  debug(message: string, extra?: object): void;
  namespace(namespace: string, level?: LogLevel): Logger;
  setLogLevel(level: LogLevel): void;
}
