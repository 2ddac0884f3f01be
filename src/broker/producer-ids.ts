import type { Random } from '../runtime/runtime.js';
import type { Controller } from './controller.js';

/** As many ids as one record of the metadata log reserves; what a leader leaves over is never given out. */
const BLOCK_SIZE = 1000;

/** The first id of a database is drawn below this; ids stay safe integers for ever. */
const FIRST_IDS = 2 ** 40;

/**
 * Gives out producer ids, each once in the life of the database. Where they begin is drawn: a producer that lived on
 * while the site's data was cleared then shares its id with none of those that come after.
 */
export class ProducerIds {
  readonly #controller: Controller;
  readonly #random: Random;
  #next = 0;
  #end = 0;
  #reserving: Promise<void> | undefined;

  constructor(controller: Controller, random: Random) {
    this.#controller = controller;
    this.#random = random;
  }

  async next(): Promise<number> {
    while (this.#next === this.#end) {
      this.#reserving ??= this.#reserve().finally(() => (this.#reserving = undefined));
      await this.#reserving;
    }
    return this.#next++;
  }

  async #reserve(): Promise<void> {
    const drawn = this.#random.below(FIRST_IDS);
    const first = await this.#controller.change(({ nextProducerId }) => {
      const answer = nextProducerId === 0 ? drawn : nextProducerId;
      return { records: [{ type: 'ProducerIdsRecord', nextProducerId: answer + BLOCK_SIZE }], answer };
    });
    this.#next = first;
    this.#end = first + BLOCK_SIZE;
  }
}
