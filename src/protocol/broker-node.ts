export const BROKER_ID = 1;

/** The one broker of a cluster. Its address is there for shape: in a browser there is nothing to connect to. */
export const BROKER_NODE = { nodeId: BROKER_ID, host: 'tabstream', port: 0 } as const;
/** As events name it: host and port. */
export const BROKER_ADDRESS = 'tabstream:0';
