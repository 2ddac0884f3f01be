import { onAbort } from '../util/signal.js';
import type { HeldLock, HoldOptions, Locks } from './runtime.js';
import type { SimulatedTab } from './simulated-tab.js';
import type { Simulation } from './simulation.js';

interface Request {
  readonly tab: SimulatedTab;
  readonly name: string;
  readonly lost: AbortController;
  readonly shared: boolean;
  readonly grant: () => void;
  state: 'waiting' | 'held' | 'over';
}

interface Lock {
  /** One, or some that share it. */
  holders: Request[];
  readonly queue: Request[];
}

/** The lock manager of a simulated browser: first come first served; a holder's tab hears of it a little later. */
export class SimulatedLocks {
  readonly #simulation: Simulation;
  readonly #locks = new Map<string, Lock>();

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** The manager as one tab sees it. */
  ofTab(tab: SimulatedTab): Locks {
    return {
      hold: (name, options = {}) => this.#hold(tab, name, options),
      held: (prefix) => this.#held(tab, prefix),
    };
  }

  count(tab: SimulatedTab): { readonly held: number; readonly waiting: number } {
    const requests = this.#requestsOf(tab);
    const held = requests.filter(({ state }) => state === 'held').length;
    return { held, waiting: requests.length - held };
  }

  /** A tab died: it waits no longer, and what it held goes to the next a little later. */
  freeAll(tab: SimulatedTab): void {
    for (const request of this.#requestsOf(tab)) {
      if (request.state === 'waiting') this.#end(request);
      else this.#simulation.background(`lock ${request.name} freed`, this.#delayMs(), () => this.#end(request));
    }
  }

  #hold(tab: SimulatedTab, name: string, { signal, steal = false, shared = false }: HoldOptions): Promise<HeldLock> {
    if (tab.isDead) return new Promise(() => {});
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const lost = new AbortController();
      const grant = (): void => {
        if (signal?.aborted) return; // given up before we heard of it
        drop();
        resolve({ lost: lost.signal, release: () => this.#end(request) });
      };
      const request: Request = { tab, name, lost, shared, grant, state: 'waiting' };
      const drop = onAbort(signal, () => {
        if (tab.isDead) return;
        this.#end(request);
        reject(signal?.reason);
      });
      this.#request(request, steal);
    });
  }

  #request(request: Request, steal: boolean): void {
    const { name } = request;
    const lock = this.#locks.get(name) ?? { holders: [], queue: [] };
    this.#locks.set(name, lock);
    if (!steal) {
      lock.queue.push(request);
    } else {
      const reason = new DOMException(`lock ${name} was stolen`, 'AbortError');
      const robbedOnes = lock.holders;
      lock.holders = [];
      lock.queue.unshift(request);
      for (const robbed of robbedOnes) {
        robbed.state = 'over';
        robbed.tab.schedule(`lock ${name} lost`, this.#delayMs(), () => robbed.lost.abort(reason));
      }
    }
    this.#grantNext(lock);
  }

  #grantNext(lock: Lock): void {
    for (let next = lock.queue[0]; next !== undefined; next = lock.queue[0]) {
      if (lock.holders.some(({ shared }) => !shared || !next?.shared)) return;
      lock.queue.shift();
      lock.holders.push(next);
      next.state = 'held';
      next.tab.schedule(`lock ${next.name} held`, this.#delayMs(), next.grant);
    }
  }

  #end(request: Request): void {
    const lock = this.#locks.get(request.name);
    if (lock === undefined || request.state === 'over') return;
    request.state = 'over';
    if (lock.holders.includes(request)) lock.holders = lock.holders.filter((holder) => holder !== request);
    else lock.queue.splice(lock.queue.indexOf(request), 1);
    this.#grantNext(lock);
    if (lock.holders.length === 0) this.#locks.delete(request.name);
  }

  #held(tab: SimulatedTab, prefix: string): Promise<readonly string[]> {
    return new Promise((resolve) => {
      tab.schedule('locks queried', this.#delayMs(), () => {
        const names = [...this.#locks.keys()].filter((name) => name.startsWith(prefix));
        resolve(names.filter((name) => (this.#locks.get(name)?.holders.length ?? 0) > 0));
      });
    });
  }

  #delayMs(): number {
    return this.#simulation.draw(this.#simulation.faults.lockDelayMs);
  }

  #requestsOf(tab: SimulatedTab): Request[] {
    const all = [...this.#locks.values()].flatMap(({ holders, queue }) => [...holders, ...queue]);
    return all.filter((request) => request.tab === tab);
  }
}
