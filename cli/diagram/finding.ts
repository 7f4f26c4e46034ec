/** What the verifier says of a failing run: a line of its output. */
export interface Finding {
  readonly detector: string;
  readonly seed: number | string;
  readonly policy?: string;
  readonly message: string;
  /** For a race both accesses, the earlier one first. */
  readonly places: readonly FindingPlace[];
  readonly remedy?: string;
}

export interface FindingPlace {
  readonly file: string;
  readonly line: number;
  readonly what?: string;
  readonly object?: string;
  readonly rank: number;
  readonly block: number;
  readonly warp: number;
  readonly lane?: number;
  readonly proxy?: string;
  /** `stream` for a task of the rank's stream, which no thread performs. */
  readonly agent?: string;
}
