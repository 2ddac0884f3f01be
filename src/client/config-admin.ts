import { throwFirst } from './admin.js';
import { type Admin, ConfigResourceTypes, type IResourceConfig, type ResourceConfigQuery } from './api/admin.js';
import type { Connection } from './connection.js';
import { KafkaJSNonRetriableError } from './errors.js';

/** What an admin lends to its part for configs. */
interface ConfigAdminOptions {
  readonly connection: Connection;
  readonly retrying: <T>(attempt: () => Promise<T>) => Promise<T>;
}

/** What of an admin is loaded when it first has to do with configs. */
export function configAdmin({
  connection,
  retrying,
}: ConfigAdminOptions): Pick<Admin, 'describeConfigs' | 'alterConfigs'> {
  return {
    async describeConfigs({ resources, includeSynonyms = false }) {
      assertResources(resources);
      for (const resource of resources) {
        const { configNames } = resource;
        if (configNames === undefined || configNames === null || Array.isArray(configNames)) continue;
        throw new KafkaJSNonRetriableError(`Invalid resource configNames ${configNames}: ${JSON.stringify(resource)}`);
      }
      const response = await retrying(async () => {
        const answer = await connection.request('DescribeConfigs', {
          includeSynonyms,
          resources: resources.map(({ type, name, configNames }) => ({
            resourceType: type,
            resourceName: name,
            configurationKeys: configNames ?? null,
          })),
        });
        throwFirst(answer.results);
        return answer;
      });
      return {
        resources: response.results.map(({ configs, ...resource }) => ({
          ...resource,
          configEntries: configs.map(({ name, value, synonyms, ...entry }) => ({
            ...entry,
            configName: name,
            configValue: value,
            configSynonyms: synonyms.map((synonym) => ({
              configName: synonym.name,
              configValue: synonym.value,
              configSource: synonym.source,
            })),
          })),
        })),
        throttleTime: 0,
      };
    },
    async alterConfigs({ resources, validateOnly = false }) {
      assertResources(resources);
      assertConfigEntries(resources);
      const response = await retrying(async () => {
        const answer = await connection.request('AlterConfigs', {
          validateOnly,
          resources: resources.map(({ type, name, configEntries }) => ({
            resourceType: type,
            resourceName: name,
            configs: configEntries.map((entry) => ({ name: entry.name, value: entry.value })),
          })),
        });
        throwFirst(answer.responses);
        return answer;
      });
      return { resources: response.responses, throttleTime: 0 };
    },
  };
}

function assertResources(resources: readonly (ResourceConfigQuery | IResourceConfig)[]): void {
  if (!Array.isArray(resources)) throw new KafkaJSNonRetriableError(`Invalid resources array ${resources}`);
  if (resources.length === 0) throw new KafkaJSNonRetriableError('Resources array cannot be empty');
  const types: readonly number[] = Object.values(ConfigResourceTypes);
  for (const resource of resources) {
    const { type, name } = resource;
    if (!types.includes(type)) {
      throw new KafkaJSNonRetriableError(`Invalid resource type ${type}: ${JSON.stringify(resource)}`);
    }
    if (!name || typeof name !== 'string') {
      throw new KafkaJSNonRetriableError(`Invalid resource name ${name}: ${JSON.stringify(resource)}`);
    }
  }
}

function assertConfigEntries(resources: readonly IResourceConfig[]): void {
  for (const resource of resources) {
    const { configEntries } = resource;
    if (!Array.isArray(configEntries)) {
      throw new KafkaJSNonRetriableError(
        `Invalid resource configEntries ${configEntries}: ${JSON.stringify(resource)}`,
      );
    }
    if (configEntries.some(({ name, value }) => typeof name !== 'string' || typeof value !== 'string')) {
      throw new KafkaJSNonRetriableError(`Invalid resource config value: ${JSON.stringify(resource)}`);
    }
  }
}
