import { KafkaError } from '../protocol/errors.js';

interface GivenConfig {
  readonly name: string;
  readonly value: string | null;
}

/**
 * The configs of a request by name, whatever the name; the last of a name counts.
 * @throws KafkaError INVALID_CONFIG: one has no value.
 */
export function givenConfigs(configs: readonly GivenConfig[]): Readonly<Record<string, string>> {
  const entries = configs.map(({ name, value }) => {
    if (value === null) throw new KafkaError('INVALID_CONFIG', `${name}: expected a value, found null`);
    return [name, value] as const;
  });
  return Object.fromEntries(entries); // an assignment to __proto__ would leave nothing
}
