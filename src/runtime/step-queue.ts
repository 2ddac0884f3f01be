/** One callback of a simulation, and when it is due. */
export interface Step {
  readonly dueMs: number;
  /** Drawn from the seed: the order among steps that are due at the same time. */
  readonly tie: number;
  readonly label: string;
  readonly run: () => void;
  cancelled: boolean;
}

/** Below this many steps it is not worth looking for cancelled ones. */
const MIN_SWEEP = 1024;

/** Steps by due time, then by tie: a binary heap. Cancelled ones are passed over, and swept out when they are many. */
export class StepQueue<S extends Step> {
  #heap: S[] = [];
  #sweepAt = MIN_SWEEP;

  push(step: S): void {
    if (this.#heap.length >= this.#sweepAt) this.#sweep();
    this.#heap.push(step);
    this.#siftUp(this.#heap.length - 1);
  }

  /** The step that comes next; it stays. */
  peek(): S | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || !first.cancelled) return first;
      this.#removeFirst();
    }
  }

  pop(): S | undefined {
    const first = this.peek();
    if (first !== undefined) this.#removeFirst();
    return first;
  }

  #sweep(): void {
    const live = this.#heap.filter((step) => !step.cancelled);
    this.#heap = live.sort((a, b) => (before(a, b) ? -1 : 1)); // a sorted array is a heap
    this.#sweepAt = Math.max(MIN_SWEEP, 2 * live.length);
  }

  #removeFirst(): void {
    const last = this.#heap.pop() as S;
    if (this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#siftDown(0);
  }

  #siftUp(from: number): void {
    const heap = this.#heap;
    const step = heap[from] as S;
    let i = from;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(step, heap[parent] as S)) break;
      heap[i] = heap[parent] as S;
      i = parent;
    }
    heap[i] = step;
  }

  #siftDown(from: number): void {
    const heap = this.#heap;
    const step = heap[from] as S;
    let i = from;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as S, heap[child] as S)) child++;
      if (!before(heap[child] as S, step)) break;
      heap[i] = heap[child] as S;
      i = child;
    }
    heap[i] = step;
  }
}

function before(a: Step, b: Step): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.tie < b.tie);
}
