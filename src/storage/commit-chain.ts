/** One commit from its begin until its caller knows how it ended. */
export interface CommitLink {
  /** The commit whose outcome was not known when this one began. */
  readonly before: CommitLink | undefined;
  readonly outcome: 'pending' | 'committed' | 'failed';
}

interface MutableLink extends CommitLink {
  before: CommitLink | undefined;
  outcome: CommitLink['outcome'];
  known: boolean;
}

/**
 * The order of one connection's commits in flight: whoever begins a commit before it knows that the last one failed
 * builds on offsets that do not exist, so that this commit must fail too.
 */
export class CommitChain {
  #last: MutableLink | undefined;

  begin(): CommitLink {
    const link: MutableLink = { before: this.#last?.known ? undefined : this.#last, outcome: 'pending', known: false };
    this.#last = link;
    return link;
  }

  /** The database has decided; the caller need not know yet. */
  decide(link: CommitLink, outcome: 'committed' | 'failed'): void {
    (link as MutableLink).outcome = outcome;
  }

  /**
   * The last act of the store before the caller's promise settles. The caller knows only once its own reaction has run:
   * what other microtasks begin before that still builds on this commit. Two turns from here are after a reaction that is
   * attached to the promise itself.
   */
  deliver(link: CommitLink): void {
    void Promise.resolve()
      .then(() => {})
      .then(() => {
        (link as MutableLink).known = true;
        (link as MutableLink).before = undefined;
      });
  }
}
