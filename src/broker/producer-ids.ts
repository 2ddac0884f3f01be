import type { Controller } from './controller.js';

/** As many ids as one record of the metadata log reserves; what a leader leaves over is never given out. */
const BLOCK_SIZE = 1000;

/** Gives out producer ids, each once in the life of the database. */
export class ProducerIds {
  readonly #controller: Controller;
  #next = 0;
  #end = 0;
  #reserving: Promise<void> | undefined;

  constructor(controller: Controller) {
    this.#controller = controller;
  }

  async next(): Promise<number> {
    while (this.#next === this.#end) {
      this.#reserving ??= this.#reserve().finally(() => (this.#reserving = undefined));
      await this.#reserving;
    }
    return this.#next++;
  }

  async #reserve(): Promise<void> {
    const first = await this.#controller.change(({ nextProducerId }) => ({
      records: [{ type: 'ProducerIdsRecord', nextProducerId: nextProducerId + BLOCK_SIZE }],
      answer: nextProducerId,
    }));
    this.#next = first;
    this.#end = first + BLOCK_SIZE;
  }
}
