import { KafkaError } from './errors.js';

/** How the text of one config is read. */
export interface ConfigDefinition<T> {
  /** Kafka's default, as text. */
  readonly default: string;
  readonly expected: string;
  /** undefined where the text is no legal value. */
  parse(text: string): T | undefined;
}

export const LONG_MAX = '9223372036854775807';

export function integer(defaultText: string, least: number): ConfigDefinition<number> {
  return {
    default: defaultText,
    expected: `an integer of at least ${least}`,
    parse(text) {
      if (!/^-?\d+$/.test(text)) return undefined;
      const value = text === LONG_MAX ? Number.POSITIVE_INFINITY : Number(text);
      return value >= least ? value : undefined;
    },
  };
}

export const boolean: ConfigDefinition<boolean> = {
  default: 'false',
  expected: 'true or false',
  parse: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
};

/** What is set: dotted name → text; null stands for "not set". */
export type ConfigEntries = Readonly<Record<string, string | null>>;

export interface ConfigDefault {
  readonly name: string;
  readonly default: string;
}

export interface ConfigSchema<C> {
  /** All configs with their default as text, in the order of the definitions. */
  readonly defaults: readonly ConfigDefault[];
  /** What the entries make together with the defaults. @throws KafkaError INVALID_CONFIG: unknown name, illegal value. */
  parse(entries: ConfigEntries): C;
  /** The same of what was stored, perhaps by a newer version: what is unknown or illegal here counts as not set. */
  parseStored(entries: ConfigEntries): C;
}

/** The configs of a kind, from a definition for each field: `retentionMs` is Kafka's `retention.ms`. */
export function configSchema<C extends object>(
  kind: string,
  definitions: { readonly [F in keyof C]: ConfigDefinition<C[F]> },
): ConfigSchema<C> {
  const byName = new Map(
    Object.entries<ConfigDefinition<unknown>>(definitions).map(([field, definition]) => {
      const name = field.replace(/[A-Z]/g, (letter) => `.${letter.toLowerCase()}`);
      return [name, { field, ...definition }];
    }),
  );
  const read = (entries: ConfigEntries, refuse: (text: string) => void): C => {
    const parsed: Record<string, unknown> = {};
    for (const { field, default: text, parse } of byName.values()) parsed[field] = parse(text);
    for (const [name, text] of Object.entries(entries)) {
      const definition = byName.get(name);
      if (definition === undefined) {
        refuse(`unknown ${kind} config ${JSON.stringify(name)}`);
        continue;
      }
      if (text === null) continue;
      const value = definition.parse(text);
      if (value === undefined) refuse(`${name}: expected ${definition.expected}, found ${JSON.stringify(text)}`);
      else parsed[definition.field] = value;
    }
    return parsed as C; // each field was set above, from its own definition
  };
  return {
    defaults: Array.from(byName, ([name, { default: text }]) => ({ name, default: text })),
    parse: (entries) =>
      read(entries, (text) => {
        throw new KafkaError('INVALID_CONFIG', text);
      }),
    parseStored: (entries) => read(entries, () => {}),
  };
}
