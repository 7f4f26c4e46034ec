/** Other libraries that the table compares with, at the commits that were read. */
export const PEERS = {
  deepepV1: { title: 'DeepEP V1', repo: 'deepseek-ai/DeepEP', commit: 'dd758ca' },
  deepepV2: { title: 'DeepEP V2', repo: 'deepseek-ai/DeepEP', commit: 'dd758ca' },
  mscclpp: { title: 'MSCCL++ EP', repo: 'microsoft/mscclpp', commit: '3fb6a5fc' },
  nccl: { title: 'NCCL EP', repo: 'NVIDIA/nccl', commit: '5067397c' },
  flashinfer: { title: 'FlashInfer', repo: 'flashinfer-ai/flashinfer', commit: 'fb28d72' },
} as const;

export type Peer = keyof typeof PEERS;

/** What a peer has, and the file that says so; a peer without the feature may have no file to cite. */
export type PeerCell = readonly [text: string, path?: string, line?: number];

/** A test of ours, by its file and its full name. */
export type Proof = readonly [file: string, test: string];

/** One row of the table. */
export interface Feature {
  readonly name: string;
  /** What we have, said only while all `tests` pass. */
  readonly ours: string;
  readonly tests: readonly [Proof, ...Proof[]];
  readonly peers: Readonly<Record<Peer, PeerCell>>;
}
