export interface Plan {
  readonly rounds: number;
  /** Smaller counts, to see that everything runs. */
  readonly quick: boolean;
  wants(...ids: string[]): boolean;
}

let serial = 0;

/** A database or cluster name that no earlier round used. */
export function freshName(what: string): string {
  return `${what}-${process.pid}-${serial++}`;
}

/** The contenders of a round, their order turned round every other round. */
export function inTurn<T>(contenders: readonly T[], round: number): readonly T[] {
  return round % 2 === 0 ? contenders : contenders.toReversed();
}
