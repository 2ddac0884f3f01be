/**
 * Hands each port that somebody sends for somebody else on to that one, or keeps it until that one is there. What is
 * said over the port never comes here. Who is said to be gone is told so, and joins again if that is not true: what two
 * hosts say comes in any order, so that a word of before its joining may be heard after it.
 */
const SOURCE = `
const hosts = new Map(), waiting = new Map();
onconnect = ({ ports: [host] }) => {
  let name;
  host.onmessage = ({ data: { join, to, gone }, ports }) => {
    if (join) {
      hosts.set(name = join, host);
      for (const [from, port] of waiting.get(name) ?? []) host.postMessage(from, port);
      waiting.delete(name);
    }
    if (gone) hosts.get(gone)?.postMessage(gone), hosts.delete(gone), waiting.delete(gone);
    if (hosts.has(to)) hosts.get(to).postMessage(name, ports);
    else if (to) waiting.set(to, [...(waiting.get(to) ?? []), [name, ports]]);
  };
};`;

/**
 * A way to the SharedWorker that introduces the hosts of a cluster to each other. Its source is its address, so that no
 * bundler and no server need to know of it. undefined where there are no SharedWorkers; where a page's policy forbids
 * this one, nothing that is sent to it is ever answered.
 */
export function introducerPort(clusterName: string): MessagePort | undefined {
  const { SharedWorker } = globalThis as Platform;
  if (SharedWorker === undefined) return undefined;
  const url = `data:text/javascript,${encodeURIComponent(SOURCE)}`;
  try {
    return new SharedWorker(url, { name: `tabstream/${clusterName}` }).port;
  } catch {
    return undefined; // forbidden
  }
}

interface Platform {
  readonly SharedWorker?: new (url: string, options: { readonly name: string }) => { readonly port: MessagePort };
}
