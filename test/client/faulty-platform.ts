import type { ClientPlatform } from '../../src/index.js';
import { KafkaError } from '../../src/protocol/errors.js';
import type { RequestChannel } from '../../src/protocol/request-channel.js';
import type { ApiName } from '../../src/protocol/requests.js';
import type { InProcessCluster } from '../../src/testing/index.js';

/** What happens to one request on its way. */
export type Fault = 'none' | 'lost request' | 'lost answer' | 'not leader';

/** A cluster whose requests fail as `faultOf` says: before they are carried out, or after, with the answer lost. */
export function faultyPlatform(cluster: InProcessCluster, faultOf: (api: ApiName) => Fault): ClientPlatform {
  return {
    runtime: cluster.runtime,
    async connect() {
      const channel = await cluster.connect();
      const send: RequestChannel['send'] = async (api, request, options) => {
        const fault = faultOf(api);
        if (fault === 'not leader') throw new KafkaError('NOT_LEADER_OR_FOLLOWER', 'injected');
        if (fault === 'lost request') throw new KafkaError('NETWORK_EXCEPTION', 'injected');
        const response = await channel.send(api, request, options);
        if (fault === 'lost answer') throw new KafkaError('NETWORK_EXCEPTION', 'injected');
        return response;
      };
      return { send, close: () => channel.close() };
    },
  };
}
