/** One call of a client, as it was answered. */
export interface Operation<S> {
  /** For people. */
  readonly text: string;
  readonly startMs: number;
  /** undefined: nobody knows the outcome. It may take effect at any time after its start, or never. */
  readonly endMs: number | undefined;
  /** The state behind it, or undefined where it cannot have been answered so in this state. */
  readonly apply: (state: S) => S | undefined;
  /**
   * It sets what no other answer depends on, but for those that read it: where its outcome is unknown, it is as good as not
   * in effect until one of them needs it.
   */
  readonly isPlain?: boolean;
}

/** What may be the case at one moment. */
interface Config<S> {
  readonly state: S;
  /** Of those begun and, where they have ended, answered: not yet in effect. */
  readonly open: ReadonlySet<Operation<S>>;
}

const MAX_CONFIGS = 30_000;

/**
 * Whether there is an order of the operations, each somewhere between its start and its end, that explains all answers
 * (Herlihy and Wing's linearizability, by the search of Wing and Gong). The answer says where none is left.
 */
export function linearizationProblem<S>(operations: readonly Operation<S>[], initial: S): string | undefined {
  const events = operations
    .flatMap((operation) => [
      { atMs: operation.startMs, isEnd: false, operation },
      ...(operation.endMs === undefined ? [] : [{ atMs: operation.endMs, isEnd: true, operation }]),
    ])
    .sort((a, b) => a.atMs - b.atMs || Number(a.isEnd) - Number(b.isEnd));
  const number = new Map(operations.map((operation, index) => [operation, index]));
  const keyOf: KeyOf<S> = ({ state, open }) =>
    `${JSON.stringify(state)} ${[...open]
      .map((operation) => number.get(operation))
      .sort()
      .join()}`;
  let configs: readonly Config<S>[] = [{ state: initial, open: new Set() }];
  for (const { operation, isEnd } of events) {
    const next = new Map<string, Config<S>>();
    for (const config of configs) {
      const { state, open } = config;
      const after = isEnd
        ? explained(config, operation, keyOf)
        : [settled({ state, open: new Set([...open, operation]) })];
      for (const each of after ?? []) next.set(keyOf(each), each);
      if (after === undefined || next.size > MAX_CONFIGS) return `too much is unknown at: ${operation.text}`;
    }
    if (next.size === 0) {
      const states = new Set(configs.map(({ state }) => JSON.stringify(state)));
      return `${operation.text}: impossible after ${[...states].slice(0, 4).join(' or ')}`;
    }
    configs = undominated([...next.values()]);
  }
  return undefined;
}

/**
 * Without those of which others can all that they can: what nobody knows the outcome of may be in effect later, or never, so
 * that the same state with more of that still open has more before it.
 */
function undominated<S>(configs: readonly Config<S>[]): readonly Config<S>[] {
  if (configs.length < 2) return configs;
  const alike = new Map<string, Config<S>[]>();
  for (const config of configs) {
    const known = [...config.open].filter(({ endMs }) => endMs !== undefined).map(({ text }) => text);
    const key = `${JSON.stringify(config.state)} ${known.sort().join()}`;
    alike.set(key, [...(alike.get(key) ?? []), config]);
  }
  return [...alike.values()].flatMap((group) =>
    group.filter(
      (one) =>
        !group.some((other) => other !== one && other.open.size > one.open.size && one.open.isSubsetOf(other.open)),
    ),
  );
}

type KeyOf<S> = (config: Config<S>) => string;

/** More than so many of them are taken for the explanation of one answer only where fewer are none. */
const FEW = 3;

/** What may be the case once `operation` is in effect: at once, or behind others that are open; undefined: too much. */
function explained<S>(config: Config<S>, operation: Operation<S>, keyOf: KeyOf<S>): Config<S>[] | undefined {
  for (const mostPlain of [0, FEW]) {
    const found = reached(config, operation, { keyOf, mostPlain });
    if (found === undefined || found.length > 0) return found;
  }
  return reached(config, operation, { keyOf, mostPlain: Number.POSITIVE_INFINITY });
}

function reached<S>(
  config: Config<S>,
  operation: Operation<S>,
  { keyOf, mostPlain }: { readonly keyOf: KeyOf<S>; readonly mostPlain: number },
): Config<S>[] | undefined {
  const seen = new Set<string>();
  const queue = [{ before: config, plain: 0 }];
  const found: Config<S>[] = [];
  for (const { before, plain } of queue) {
    if (!before.open.has(operation)) {
      found.push(before);
      continue;
    }
    for (const candidate of before.open) {
      const isPlain = candidate.endMs === undefined && candidate.isPlain === true;
      if (isPlain && plain >= mostPlain) continue;
      const state = candidate.apply(before.state);
      if (state === undefined || (state === before.state && candidate !== operation)) continue;
      const open = new Set(before.open);
      open.delete(candidate);
      const after = settled({ state, open });
      const key = keyOf(after);
      if (seen.has(key)) continue;
      seen.add(key);
      queue.push({ before: after, plain: isPlain ? plain + 1 : plain });
    }
    if (queue.length > MAX_CONFIGS) return undefined;
  }
  return found;
}

/** What is answered as it must be in this very state, and does not change it, may as well be now. */
function settled<S>({ state, open }: Config<S>): Config<S> {
  const left = [...open].filter(({ endMs, apply }) => endMs === undefined || apply(state) !== state);
  return left.length === open.size ? { state, open } : { state, open: new Set(left) };
}
