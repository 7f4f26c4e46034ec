import {
  assertCall,
  assertObject,
  type CheckedRows,
  checkNumChannels,
  checkRows,
} from './arguments.js';
import type { CollectiveKind } from './call-log.js';
import { type CallOrder, checkOrder, ORDER_KEYS } from './call-order.js';
import { EpgenArgumentError } from './errors.js';
import { checkExpertSlot, type ExpertSlot } from './expert-slot.js';
import { assertExpertRows } from './expert-sum.js';
import { checkHandle, type HandleParts } from './handle.js';
import { highThroughputOf } from './high-throughput.js';
import type { RankState } from './rank-state.js';
import { builtArguments } from './spec-features.js';
import { Tensor } from './tensor.js';

const FEATURES = ['topkWeights', 'bias', 'expertMajor'] as const;
const KEYS = ['x', 'handle', 'numChannels', ...ORDER_KEYS];

/** A combine call that was found right. */
export interface CombineArguments {
  readonly handle: HandleParts;
  readonly x: CheckedRows;
  /** There where the rows of x are by expert. */
  readonly expertSlot: ExpertSlot | undefined;
  readonly topkWeights: CheckedRows | undefined;
  readonly biases: readonly CheckedRows[];
  readonly grid: number;
  readonly kind: CollectiveKind;
  readonly order: CallOrder;
  /** Throws where the handle or a tensor is not usable any more. */
  recheck(): void;
}

/** Checks a whole combine call. `path` leads to the call in messages, as `perRank[3].`. */
export function checkCombine(rank: RankState, call: unknown, path: string): CombineArguments {
  rank.group.assertOpen();
  highThroughputOf(rank.group, 'combine');
  assertObject(path, call);
  const features = builtArguments(rank.group.description.spec, path, call, FEATURES);
  assertCall(path, call, [...KEYS, ...features]);
  const given = call.handle;
  const handle = checkHandle(rank, given, `${path}handle`);
  const x = checkOutputs(rank, call.x, `${path}x`);
  const expertSlot = checkExpertSlot(rank, handle, call.expertMajor, `${path}expertMajor`);
  if (expertSlot) assertExpertRows(handle, { x, slot: expertSlot }, `${path}x`);
  else assertRows(rank, handle, `${path}x`, x.numRows);
  const topkWeights = checkTopkWeights(rank, handle, call.topkWeights, `${path}topkWeights`);
  const biases = biasesOf(rank, call.bias, `${path}bias`).map(([name, value]) =>
    checkBias(rank, handle, value, name),
  );
  const order = checkOrder(rank, call, path);
  return {
    handle,
    x,
    expertSlot,
    topkWeights,
    biases,
    grid: checkNumChannels(rank, `${path}numChannels`, call.numChannels),
    kind: topkWeights === undefined ? 'combine' : 'combine with topkWeights',
    order,
    recheck: () => {
      order.recheck();
      checkHandle(rank, given, `${path}handle`);
      for (const tensor of [x, expertSlot, topkWeights, ...biases]) tensor?.recheck();
    },
  };
}

function checkOutputs(rank: RankState, value: unknown, name: string): CheckedRows {
  const { name: specName, dtype, combineDtype } = rank.group.description.spec;
  if (value instanceof Tensor && value.dtype === dtype && dtype !== combineDtype) {
    throw new EpgenArgumentError(
      `Expected ${name} to have the dtype ${combineDtype}, which ${specName} combines, but received ${dtype}, which it dispatches`,
      { hint: 'rank.combineInput(handle) is memory for outputs of the right dtype.' },
    );
  }
  return checkRows(rank, value, wantedRows(rank, name));
}

function checkTopkWeights(
  rank: RankState,
  handle: HandleParts,
  value: unknown,
  name: string,
): CheckedRows | undefined {
  if (value === undefined || value === null) return undefined;
  const { numTopk } = rank.group.dims;
  const wanted = { name, dtype: 'f32', rowSize: numTopk, rowSizeName: 'topk' } as const;
  const weights = checkRows(rank, value, wanted);
  assertRows(rank, handle, name, weights.numRows);
  return weights;
}

/** What was given as biases, each with its name. */
function biasesOf(rank: RankState, value: unknown, name: string): (readonly [string, unknown])[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return [[name, value]];
  const { name: specName } = rank.group.description.spec;
  const { biases } = highThroughputOf(rank.group);
  if (value.length < 1 || value.length > biases) {
    const most = biases === 1 ? '1 tensor' : `1 to ${biases} tensors`;
    throw new EpgenArgumentError(
      `Expected ${name} to be ${most} (ht.biases of ${specName}) but received ${value.length}`,
    );
  }
  return Array.from(value, (one: unknown, i) => [`${name}[${i}]`, one] as const);
}

function checkBias(
  rank: RankState,
  { numTokens }: HandleParts,
  value: unknown,
  name: string,
): CheckedRows {
  const bias = checkRows(rank, value, wantedRows(rank, name));
  if (bias.numRows === numTokens) return bias;
  throw new EpgenArgumentError(
    `Expected ${name} to have ${numTokens} rows, the tokens that the handle sent, but received ${bias.numRows}`,
  );
}

function wantedRows(rank: RankState, name: string) {
  const { dims, description } = rank.group;
  const dtype = description.spec.combineDtype;
  return { name, dtype, rowSize: dims.hidden, rowSizeName: 'hidden' } as const;
}

function assertRows(rank: RankState, handle: HandleParts, name: string, numRows: number): void {
  if (numRows === handle.numRows) return;
  throw new EpgenArgumentError(
    `Expected ${name} to have ${handle.numRows} rows, the ${whatRows(rank, handle)}, but received ${numRows}`,
  );
}

function whatRows(rank: RankState, { numRows, numRecvTokens }: HandleParts): string {
  if (numRows === numRecvTokens) return 'rows that the handle received';
  return numRows === rank.group.dims.maxRecvTokens
    ? 'rows that can arrive'
    : 'numWorstTokens of its dispatch';
}
