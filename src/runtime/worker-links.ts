import type { EncryptionKeys } from '../protocol/encryption-keys.js';
import { KafkaError } from '../protocol/errors.js';
import type { RequestChannel } from '../protocol/request-channel.js';
import { WorkerLink, type WorkerLinkOptions } from './worker-link.js';

export interface PageLinkOptions extends WorkerLinkOptions {
  readonly keys?: EncryptionKeys | undefined;
}

interface Entry {
  readonly link: WorkerLink;
  readonly brokerConfig: string;
  users: number;
}

/** The links of this page, by cluster: a page has one host in each cluster, however many clients. */
const LINKS = new Map<string, Entry>();

/**
 * This page's link to a cluster: the one that is there, else a new one. The link is closed once all its users have
 * closed theirs. Resolves once the host has started.
 * @throws KafkaError where it does not start (see `WorkerPeer.started`). INVALID_CONFIG: the cluster runs in this page
 *   with another broker config.
 */
export async function openWorkerLink(options: PageLinkOptions): Promise<RequestChannel> {
  const { clusterName } = options.start;
  const entry = entryOf(options);
  entry.users++;
  if (options.keys) entry.link.giveKeys(options.keys);
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (!isOpen) return;
    isOpen = false;
    if (--entry.users > 0) return;
    if (LINKS.get(clusterName) === entry) LINKS.delete(clusterName);
    await entry.link.close();
  };
  try {
    await entry.link.host();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    send: (api, request, sendOptions) => {
      if (isOpen) return entry.link.send(api, request, sendOptions);
      return Promise.reject(new KafkaError('BROKER_NOT_AVAILABLE', 'the link to the worker is closed'));
    },
    close,
  };
}

function entryOf(options: WorkerLinkOptions): Entry {
  const { clusterName } = options.start;
  const brokerConfig = configText(options);
  const known = LINKS.get(clusterName);
  if (known === undefined) {
    const entry: Entry = { link: new WorkerLink(options), brokerConfig, users: 0 };
    LINKS.set(clusterName, entry);
    return entry;
  }
  if (brokerConfig !== '[]' && brokerConfig !== known.brokerConfig) {
    const found = `the cluster ${clusterName} runs in this page with ${known.brokerConfig}, not with ${brokerConfig}`;
    throw new KafkaError('INVALID_CONFIG', found);
  }
  return known;
}

function configText({ start }: WorkerLinkOptions): string {
  return JSON.stringify(Object.entries(start.brokerConfig).sort(([a], [b]) => (a < b ? -1 : 1)));
}
