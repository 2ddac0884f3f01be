import type { Kafka } from '../../src/index.js';
import { forever } from './forever.js';

const LOOK_EVERY_MS = 250;
const KEPT_EVENTS = 30;

export interface Tab {
  readonly hostId: string;
  readonly isThisTab: boolean;
  readonly leads: boolean;
  readonly epoch: number;
}

export interface TabEvent {
  readonly atMs: number;
  readonly text: string;
}

/** Which tabs are there, which of them leads, and what changed. */
export class Leadership {
  readonly #kafka: Kafka;
  readonly #onChange: () => void;
  #tabs: readonly Tab[] = [];
  #events: readonly TabEvent[] = [];
  #epoch = 0;

  constructor(kafka: Kafka, onChange: () => void) {
    this.#kafka = kafka;
    this.#onChange = onChange;
  }

  get tabs(): readonly Tab[] {
    return this.#tabs;
  }

  get leader(): Tab | undefined {
    return this.#tabs.find((tab) => tab.leads);
  }

  /** Newest first. */
  get events(): readonly TabEvent[] {
    return this.#events;
  }

  start(signal: AbortSignal): void {
    const admin = this.#kafka.admin();
    forever(signal, LOOK_EVERY_MS, async () => {
      const { hosts } = await admin.describeCluster();
      const tabs = hosts
        .toSorted((a, b) => a.joinedAtMs - b.joinedAtMs)
        .map(({ hostId, self, controller, controllerEpoch }) => ({
          hostId,
          isThisTab: self,
          leads: controller,
          epoch: controllerEpoch,
        }));
      this.#compare(tabs);
      this.#tabs = tabs;
      this.#onChange();
    });
  }

  #compare(tabs: readonly Tab[]): void {
    const first = this.#tabs.length === 0;
    for (const gone of this.#tabs.filter((tab) => !tabs.some(({ hostId }) => hostId === tab.hostId))) {
      this.#note(`${tabName(gone)} is gone${gone.leads ? '; it was the leader' : ''}`);
    }
    for (const joined of first ? [] : tabs.filter((tab) => !this.#tabs.some(({ hostId }) => hostId === tab.hostId))) {
      this.#note(`${tabName(joined)} joined`);
    }
    const leader = tabs.find((tab) => tab.leads);
    if (leader && leader.epoch > this.#epoch) {
      this.#note(`${tabName(leader)} ${first ? 'leads' : 'took the lead'} with epoch ${leader.epoch}`);
      this.#epoch = leader.epoch;
    }
  }

  #note(text: string): void {
    this.#events = [{ atMs: Date.now(), text }, ...this.#events].slice(0, KEPT_EVENTS);
  }
}

/** A short name that stays the same in every tab. */
export function tabName(tab: Tab): string {
  const short = `tab ${tab.hostId.replaceAll('-', '').slice(0, 4)}`;
  return tab.isThisTab ? `${short} (this one)` : short;
}
