import { errorCode } from '../../src/protocol/errors.js';
import { type ApiName, ConfigResourceType, type Requests, type Responses } from '../../src/protocol/requests.js';
import type { Operation } from './linearizable.js';

/** One request of a client, as its host answered it. */
export interface Exchange<A extends ApiName = ApiName> {
  readonly client: string;
  readonly api: A;
  readonly request: Requests[A];
  readonly startMs: number;
  /** undefined: never, its tab is dead. */
  endMs: number | undefined;
  /** undefined: there was none, or not yet. */
  response: Responses[A] | undefined;
  /** Why there was none. */
  error: unknown;
}

/** What is known of one name of a topic. */
export interface TopicState {
  /** Empty: there is no topic of this name. `?`: there is, and nobody has heard its id yet. */
  readonly id: string;
  readonly count: number;
  /** What is set, as a text. */
  readonly configs: string;
  /** What is committed, by `group/partition`. */
  readonly offsets: Readonly<Record<string, number>>;
}

export const NO_TOPIC: TopicState = { id: '', count: 0, configs: '', offsets: {} };
const UNHEARD_ID = '?';
/** Of topics that are made because somebody asks for them. */
const DEFAULT_PARTITIONS = 1;

const OK = 0;
const UNKNOWN_TOPIC = errorCode('UNKNOWN_TOPIC_OR_PARTITION');
const ALREADY_EXISTS = errorCode('TOPIC_ALREADY_EXISTS');
const INVALID_PARTITIONS = errorCode('INVALID_PARTITIONS');
const GROUP_ID_NOT_FOUND = errorCode('GROUP_ID_NOT_FOUND');
const TOPIC_CONFIG_SOURCE = 1;
/** With these as the answer to a part of a request, nobody knows whether it was done. */
const DOUBTFUL: readonly number[] = [errorCode('REQUEST_TIMED_OUT'), errorCode('NETWORK_EXCEPTION'), -1];
const DOUBTFUL_TYPES: readonly unknown[] = ['REQUEST_TIMED_OUT', 'NETWORK_EXCEPTION', 'UNKNOWN_SERVER_ERROR'];

/** Whether a request that was not answered may have been carried out all the same. */
export function mayBeDone({ response, error }: Exchange): boolean {
  if (response !== undefined) return false;
  const { name, type } = (error ?? {}) as { name?: unknown; type?: unknown };
  return name !== 'KafkaError' || DOUBTFUL_TYPES.includes(type);
}

/**
 * After a commit they take with them other things than before it, and who makes a topic gives it its configs, which are seen
 * later than the topic; all else is seen by who needs it: see `isPlain`.
 */
const NOT_PLAIN: readonly ApiName[] = ['CreateTopics', 'DeleteGroups', 'OffsetDelete'];

type Step = (state: TopicState) => TopicState | undefined;
/** What a request does to a topic, where it was answered, and where nobody knows; undefined: nothing. */
interface Effect {
  readonly code: number | 'unknown';
  readonly apply: Step | undefined;
  /** Answered by any host, from what it has heard. */
  readonly mayBeOld?: boolean;
}

/** What is asked of the topic of this name, and what that does to it. */
export function effectOf(exchange: Exchange, topic: string): Effect | undefined {
  const effect = EFFECTS[exchange.api] as ((exchange: Exchange, topic: string) => Effect | undefined) | undefined;
  return effect?.(exchange, topic);
}

/** The operations on one name of a topic. `heardMs` says how old what a host knows may be at a time. */
export function operationsOn(
  topic: string,
  exchanges: readonly Exchange[],
  heardMs: (exchange: Exchange) => number,
): Operation<TopicState>[] {
  return exchanges.flatMap((exchange) => {
    const effect = effectOf(exchange, topic);
    if (effect?.apply === undefined) return [];
    const isKnown = effect.code !== 'unknown';
    const startMs = effect.mayBeOld ? heardMs(exchange) : exchange.startMs;
    return [
      {
        text: `${describe(exchange)} of ${topic}: ${effect.code}`,
        startMs,
        endMs: isKnown ? exchange.endMs : undefined,
        apply: effect.apply,
        isPlain: !NOT_PLAIN.includes(exchange.api),
      },
    ];
  });
}

export function describe({ client, api, startMs, endMs, request, response, error }: Exchange): string {
  const answer = response === undefined ? String(error ?? 'no answer') : JSON.stringify(response, plain);
  const time = `${startMs.toFixed(1)} to ${endMs?.toFixed(1) ?? 'never'}`;
  return `${time} ${client} ${api} ${JSON.stringify(request, plain)} → ${answer.slice(0, 400)}`;
}

function plain(key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (key === 'topicId') return String(value).slice(0, 4);
  return ['brokers', 'clusterId', 'incarnationId'].includes(key) || value === null ? undefined : value;
}

// ---------------------------------------------------------------- the APIs

const EFFECTS: { readonly [A in ApiName]?: (exchange: Exchange<A>, topic: string) => Effect | undefined } = {
  CreateTopics(exchange, topic) {
    const { request, response } = exchange;
    const asked = request.topics.find(({ name }) => name === topic);
    if (asked === undefined) return undefined;
    const answer = response?.topics.find(({ name }) => name === topic);
    const configs = configText(asked.configs);
    const created =
      (id: string, count: number): Step =>
      (state) => {
        if (state.id !== '') return undefined;
        return request.validateOnly ? state : { id, count, configs, offsets: {} };
      };
    return effect(exchange, answer?.errorCode, {
      done: created(answer?.topicId ?? '', answer?.numPartitions ?? 0),
      maybe: created(UNHEARD_ID, asked.numPartitions),
      refused: { [ALREADY_EXISTS]: isThere },
    });
  },
  DeleteTopics(exchange, topic) {
    if (!exchange.request.topicNames.includes(topic)) return undefined;
    const deleted: Step = (state) => (state.id === '' ? undefined : NO_TOPIC);
    const code = exchange.response?.responses.find(({ name }) => name === topic)?.errorCode;
    return effect(exchange, code, { done: deleted, maybe: deleted, refused: { [UNKNOWN_TOPIC]: isAbsent } });
  },
  CreatePartitions(exchange, topic) {
    const { request, response } = exchange;
    const asked = request.topics.find(({ name }) => name === topic);
    if (asked === undefined) return undefined;
    const { count } = asked;
    const grown: Step = (state) => {
      if (state.id === '' || state.count >= count) return undefined;
      return request.validateOnly ? state : { ...state, count };
    };
    const isGreater: Step = (state) => (state.id !== '' && state.count >= count ? state : undefined);
    return effect(exchange, response?.results.find(({ name }) => name === topic)?.errorCode, {
      done: grown,
      maybe: grown,
      refused: { [UNKNOWN_TOPIC]: isAbsent, [INVALID_PARTITIONS]: isGreater },
    });
  },
  AlterConfigs(exchange, topic) {
    const isIt = (resource: { resourceType: number; resourceName: string }): boolean =>
      resource.resourceType === ConfigResourceType.TOPIC && resource.resourceName === topic;
    const asked = exchange.request.resources.find(isIt);
    if (asked === undefined) return undefined;
    const altered: Step = (state) => {
      if (state.id === '') return undefined;
      return exchange.request.validateOnly ? state : { ...state, configs: configText(asked.configs) };
    };
    const code = exchange.response?.responses.find(isIt)?.errorCode;
    return effect(exchange, code, { done: altered, maybe: altered, refused: { [UNKNOWN_TOPIC]: isAbsent } });
  },
  DescribeConfigs({ request, response }, topic) {
    const found = response?.results.find(({ resourceName }) => resourceName === topic);
    const asked = request.resources.find(({ resourceName }) => resourceName === topic);
    if (found === undefined || asked?.configurationKeys !== null) return undefined;
    const set = configText(found.configs.filter(({ configSource }) => configSource === TOPIC_CONFIG_SOURCE));
    const isSo = (state: TopicState): boolean =>
      found.errorCode === OK ? state.id !== '' && state.configs === set : state.id === '';
    if (found.errorCode !== OK && found.errorCode !== UNKNOWN_TOPIC) return undefined;
    return reads(isSo);
  },
  Metadata(exchange, topic) {
    const { request, response } = exchange;
    const isAsked = request.topics === null || request.topics.some(({ name }) => name === topic);
    if (!isAsked) return undefined;
    if (response === undefined) {
      const created: Step = (state) =>
        state.id === '' ? { ...state, id: UNHEARD_ID, count: DEFAULT_PARTITIONS } : undefined;
      const isUnknown = request.allowAutoTopicCreation && mayBeDone(exchange);
      return { code: 'unknown', apply: isUnknown ? created : undefined };
    }
    const answer = response.topics.find(({ name }) => name === topic);
    if (answer === undefined || answer.errorCode === UNKNOWN_TOPIC) {
      return { code: OK, apply: isAbsent }; // the host has looked into the database
    }
    if (answer.errorCode !== OK) return undefined;
    const { topicId: id, partitions } = answer;
    const seen: Step = (state) => {
      if (state.id === '' && request.allowAutoTopicCreation) {
        return { id, count: partitions.length, configs: '', offsets: {} };
      }
      if (state.count !== partitions.length) return undefined;
      if (state.id === id) return state;
      return state.id === UNHEARD_ID ? { ...state, id } : undefined;
    };
    return { code: OK, apply: seen, mayBeOld: request.topics !== null };
  },
  OffsetCommit(exchange, topic) {
    const { request, response } = exchange;
    const asked = request.topics.find(({ name }) => name === topic);
    if (asked === undefined) return undefined;
    const answers = response?.topics.find(({ name }) => name === topic)?.partitions ?? [];
    const codeOf = (partition: number): number | undefined =>
      answers.find(({ partitionIndex }) => partitionIndex === partition)?.errorCode;
    const committed =
      (isStored: (code: number | undefined) => boolean): Step =>
      (state) => {
        if (state.id === '') return undefined;
        const offsets = { ...state.offsets };
        for (const { partitionIndex, committedOffset } of asked.partitions) {
          if (isStored(codeOf(partitionIndex))) offsets[`${request.groupId}/${partitionIndex}`] = committedOffset;
        }
        return { ...state, offsets };
      };
    const codes = answers.map(({ errorCode }) => errorCode);
    return effect(exchange, codes.includes(OK) ? OK : codes[0], {
      done: committed((code) => code === OK),
      maybe: committed(() => true),
      refused: {
        [UNKNOWN_TOPIC]: (state) => {
          const isMissing = asked.partitions.some(({ partitionIndex }) => partitionIndex >= state.count);
          return state.id === '' || isMissing ? state : undefined;
        },
      },
    });
  },
  OffsetFetch({ request, response }, topic) {
    if (response === undefined || response.errorCode !== OK) return undefined;
    const asked = request.topics?.find(({ name }) => name === topic);
    if (request.topics !== null && asked === undefined) return undefined;
    const answers = response.topics.find(({ name }) => name === topic)?.partitions ?? [];
    const answered = new Map(answers.map(({ partitionIndex, committedOffset }) => [partitionIndex, committedOffset]));
    return reads((state) => {
      const ofGroup = Object.entries(state.offsets).filter(([place]) => place.startsWith(`${request.groupId}/`));
      const known = new Map(ofGroup.map(([place, offset]) => [Number(place.split('/')[1]), offset]));
      const partitions = asked?.partitionIndexes ?? [...new Set([...known.keys(), ...answered.keys()])];
      return partitions.every((partition) => (known.get(partition) ?? -1) === (answered.get(partition) ?? -1));
    });
  },
  OffsetDelete(exchange, topic) {
    const { request, response } = exchange;
    const asked = request.topics.find(({ name }) => name === topic);
    if (asked === undefined) return undefined;
    const answers = response?.topics.find(({ name }) => name === topic)?.partitions ?? [];
    // A living group gives up what it does not subscribe to, and refuses the rest.
    const refused = answers.filter(({ errorCode }) => errorCode !== OK);
    const places = asked.partitions
      .filter(({ partitionIndex }) => !refused.some((answer) => answer.partitionIndex === partitionIndex))
      .map(({ partitionIndex }) => `${request.groupId}/${partitionIndex}`);
    const removed: Step = (state) => ({ ...state, offsets: without(state, (place) => places.includes(place)) });
    const ofTopic = refused.length < answers.length ? OK : refused[0]?.errorCode;
    const code = response?.errorCode === OK ? (ofTopic ?? OK) : response?.errorCode;
    return effect(exchange, code, { done: removed, maybe: removed, refused: {} });
  },
  DeleteGroups(exchange) {
    const { request, response } = exchange;
    const [group] = request.groupsNames; // one at a time
    const isOfGroup = (place: string): boolean => place.startsWith(`${group}/`);
    const removed: Step = (state) => ({ ...state, offsets: without(state, isOfGroup) });
    const hasNone: Step = (state) => (Object.keys(state.offsets).some(isOfGroup) ? undefined : state);
    const code = response?.results[0]?.errorCode;
    return effect(exchange, code, { done: removed, maybe: removed, refused: { [GROUP_ID_NOT_FOUND]: hasNone } });
  },
};

const isThere: Step = (state) => (state.id === '' ? undefined : state);
const isAbsent: Step = (state) => (state.id === '' ? state : undefined);

/** What was refused for other reasons than these says nothing of the topic. */
function effect(
  exchange: Exchange,
  code: number | undefined,
  steps: { readonly done: Step; readonly maybe: Step; readonly refused: Readonly<Record<number, Step>> },
): Effect {
  if (code === OK) return { code, apply: steps.done };
  const isUnknown = code === undefined ? mayBeDone(exchange) : DOUBTFUL.includes(code);
  if (isUnknown) return { code: 'unknown', apply: steps.maybe };
  return { code: code ?? -1, apply: code === undefined ? undefined : steps.refused[code] };
}

function reads(isSo: (state: TopicState) => boolean): Effect {
  return { code: OK, apply: (state) => (isSo(state) ? state : undefined) };
}

function without(state: TopicState, isRemoved: (place: string) => boolean): TopicState['offsets'] {
  return Object.fromEntries(Object.entries(state.offsets).filter(([place]) => !isRemoved(place)));
}

function configText(entries: readonly { readonly name: string; readonly value: string | null }[]): string {
  return entries
    .map(({ name, value }) => `${name}=${value}`)
    .sort()
    .join();
}
