// What low-latency dispatch and combine check alike.
import { assertWritable, checkBoolean, checkInteger, checkShaped } from './arguments.js';
import type { LowLatencyDimensions } from './dimensions.js';
import { EpgenArgumentError, EpgenUnsupportedError } from './errors.js';
import { MOST_EMULATED_BLOCKS } from './local-grid.js';
import type { NamedStorage } from './pending-receive.js';
import type { RankState } from './rank-state.js';

/** What a spec with low-latency calls says about them. */
export interface LowLatency extends LowLatencyDimensions {
  readonly dtype: 'bf16' | 'fp8_e4m3';
  readonly scaleDtype: 'f32' | 'ue8m0';
  readonly combineDtype: 'bf16' | 'fp8_e4m3';
}

type Call = Readonly<Record<string, unknown>>;

/** Refuses a module without low-latency calls; `method` is what needs them. */
export function lowLatencyOf({ group }: RankState, method: string): LowLatency {
  const { dims, description } = group;
  const { name, ll } = description.spec;
  if (dims.lowLatency !== undefined && ll) return { ...ll, ...dims.lowLatency };
  throw new EpgenUnsupportedError(
    `Expected a module with ${method} but ${name} was built without`,
    { hint: 'Set ll in the spec and build again.' },
  );
}

/** How many channels run at once; by default as many as {@link lowLatencyGrid} says. */
export function checkLowLatencyChannels(
  { group }: RankState,
  name: string,
  value: unknown,
  { numChannels, numTokens }: Pick<LowLatency, 'numChannels'> & { readonly numTokens: number },
): number {
  if (value !== undefined) return checkInteger(name, value, { min: 1, max: numChannels });
  if (group.backend === 'cpu') return Math.min(numChannels, MOST_EMULATED_BLOCKS);
  return lowLatencyGrid({ numChannels, numTokens, numRanks: group.dims.numRanks });
}

/** Channels of a call on a GPU that does not say: one for each token, and no fewer than there are ranks to tell. */
export function lowLatencyGrid(call: {
  readonly numChannels: number;
  readonly numTokens: number;
  readonly numRanks: number;
}): number {
  return Math.min(call.numChannels, Math.max(call.numTokens, call.numRanks));
}

/** Whether the call is only sent, and a hook receives. */
export function checkRecvHook(call: Call, path: string): boolean {
  const hasHook = checkBoolean(`${path}returnRecvHook`, call.returnRecvHook);
  if (!hasHook || !checkBoolean(`${path}asyncFinish`, call.asyncFinish)) return hasHook;
  throw new EpgenArgumentError(
    `Expected ${path}returnRecvHook in place of ${path}asyncFinish but received both`,
  );
}

/** Refuses memory that a call may not have any more by the time that its hook is called: the hook would be of no use then. */
export function assertLasting(memory: readonly NamedStorage[]): void {
  const view = memory.find(({ storage }) => storage.place !== undefined);
  if (view === undefined) return;
  throw new EpgenArgumentError(
    `Expected ${view.name} to last until the hook is called but received a view of the window, whose memory goes to later calls`,
    { hint: 'Give a tensor of rank.tensor, or make the call without returnRecvHook.' },
  );
}

/** Refuses a number of tokens that is too large; says the way out. */
export function assertLowLatencyTokens(
  name: string,
  numTokens: number,
  { maxTokensPerRank }: Pick<LowLatency, 'maxTokensPerRank'>,
): void {
  if (numTokens <= maxTokensPerRank) return;
  throw new EpgenArgumentError(
    `Expected ${name} to have at most ${maxTokensPerRank} tokens but received ${numTokens}`,
    { hint: 'Raise ll.maxTokensPerRank in the spec and build again.' },
  );
}

/** Something that a call adds to. */
export interface Stats {
  readonly pointer: bigint | undefined;
  /** Its memory, if it is given. */
  readonly memory: readonly NamedStorage[];
  /** Throws where it is not usable any more. */
  recheck(): void;
}

/** i32 [experts / ranks], if it is given. */
export function checkCumulativeStats(rank: RankState, value: unknown, name: string): Stats {
  const sizes = [rank.group.dims.numLocalExperts];
  return checkStats(rank, value, { name, dtype: 'i32', sizes, sizeNames: 'experts / ranks' });
}

/** i64 [ranks], if it is given. */
export function checkWaitStats(rank: RankState, value: unknown, name: string): Stats {
  const sizes = [rank.group.dims.numRanks];
  return checkStats(rank, value, { name, dtype: 'i64', sizes, sizeNames: 'ranks' });
}

function checkStats(
  rank: RankState,
  value: unknown,
  wanted: Parameters<typeof checkShaped>[2],
): Stats {
  if (value === undefined || value === null) {
    return { pointer: undefined, memory: [], recheck: () => undefined };
  }
  const tensor = checkShaped(rank, value, wanted);
  assertWritable(tensor, wanted.name);
  const recheck = () => {
    tensor.recheck();
    assertWritable(tensor, wanted.name);
  };
  const { storage } = tensor;
  return { pointer: storage.pointer, memory: [{ name: wanted.name, storage }], recheck };
}
