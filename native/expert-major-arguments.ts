import type { RawExpertMajorCall } from './addon-types.js';
import {
  assertCall,
  assertObject,
  type CheckedTensor,
  checkBoolean,
  checkColumns,
  checkRows,
} from './arguments.js';
import { EpgenArgumentError, EpgenUnsupportedError } from './errors.js';
import { numExpertRowsOf } from './expert-slot.js';
import type { HandleParts } from './handle.js';
import { checkHandle } from './handle.js';
import type { RankState } from './rank-state.js';
import { hasScales } from './spec-features.js';

/** A call of `rank.expertMajor` that was found right. */
export interface ExpertMajorArguments {
  readonly handle: HandleParts;
  readonly numRows: number;
  /** Rows of each local expert, padding included. */
  readonly numTokensPerExpert: Int32Array;
  /** Those of all experts. */
  readonly numExpertRows: number;
  readonly received: Pick<
    RawExpertMajorCall,
    'recvX' | 'recvXScales' | 'recvExtras' | 'recvTopkIdx' | 'recvTopkWeights'
  >;
  readonly zeroPadding: boolean;
}

type Call = Readonly<Record<string, unknown>>;

/** Checks what a dispatch gave, and how it is to be grouped. */
export function checkExpertMajor(
  rank: RankState,
  received: unknown,
  options: unknown,
): ExpertMajorArguments {
  const { spec } = rank.group.description;
  rank.group.assertOpen();
  if (spec.ht === false || !spec.ht.expertMajor) {
    throw new EpgenUnsupportedError(
      `Expected a module with rank.expertMajor but ${spec.name} was built without`,
      { hint: 'Set ht.expertMajor in the spec and build again.' },
    );
  }
  assertObject('received.', received);
  assertCall('options.', options, ['zeroPadding']);
  const zeroPadding = checkBoolean('options.zeroPadding', options.zeroPadding);
  const given = received.handle;
  const handle = checkHandle(rank, given, 'received.handle');
  const { numRecvTokens, numTokensPerExpert } = handle;
  if (numRecvTokens === undefined || numTokensPerExpert === undefined) {
    throw new EpgenUnsupportedError(
      'Expected received to be of a dispatch that waited for its counts, which tell how many rows there will be, but received one that did not',
    );
  }
  const tensors = checkTensors(rank, received);
  // Getters of later arguments may have ended earlier ones.
  checkHandle(rank, given, 'received.handle');
  for (const tensor of Object.values<CheckedTensor>({ ...tensors })) tensor.recheck();
  return {
    handle,
    numRows: checkNumRows(tensors, numRecvTokens),
    numTokensPerExpert,
    numExpertRows: numExpertRowsOf(handle),
    received: {
      recvX: tensors.x.storage.pointer,
      ...(tensors.xScales ? { recvXScales: tensors.xScales.storage.pointer } : {}),
      ...(tensors.extras ? { recvExtras: tensors.extras.storage.pointer } : {}),
      recvTopkIdx: tensors.topkIdx.storage.pointer,
      recvTopkWeights: tensors.topkWeights.storage.pointer,
    },
    zeroPadding,
  };
}

interface SizedTensor extends CheckedTensor {
  readonly numRows: number;
}

interface Tensors {
  readonly x: SizedTensor;
  readonly topkIdx: SizedTensor;
  readonly topkWeights: SizedTensor;
  /** There where the spec has scales in rows. */
  readonly xScales?: CheckedTensor & { readonly numRows?: number };
  readonly extras?: SizedTensor;
}

function checkTensors(rank: RankState, received: Call): Tensors {
  const { spec } = rank.group.description;
  const { hidden, numTopk } = rank.group.dims;
  if (received.topkIdx === null) {
    throw new EpgenArgumentError(
      'Expected received.topkIdx to be the experts of the rows but received null, since its dispatch was routed by a layout',
    );
  }
  const topk = { rowSize: numTopk, rowSizeName: 'topk' };
  return {
    x: checkRows(rank, received.x, {
      name: 'received.x',
      dtype: spec.dtype,
      rowSize: hidden,
      rowSizeName: 'hidden',
    }),
    topkIdx: checkRows(rank, received.topkIdx, {
      ...topk,
      name: 'received.topkIdx',
      dtype: spec.topkIdx,
    }),
    topkWeights: checkRows(rank, received.topkWeights, {
      ...topk,
      name: 'received.topkWeights',
      dtype: 'f32',
    }),
    ...(hasScales(spec) ? { xScales: checkScales(rank, received.xScales) } : {}),
    ...(spec.extraBytes > 0 ? { extras: checkExtras(rank, received.extras) } : {}),
  };
}

function checkScales(rank: RankState, value: unknown): NonNullable<Tensors['xScales']> {
  const { numScaleWords, scaleColumnWords } = rank.group.dims;
  const wanted = {
    name: 'received.xScales',
    dtype: rank.group.description.spec.scaleDtype === 'f32' ? 'f32' : 'i32',
    rowSize: numScaleWords,
    rowSizeName: 'scales of a token',
  } as const;
  if (scaleColumnWords === 0) return checkRows(rank, value, wanted);
  const { numColumns, ...scales } = checkColumns(rank, value, wanted);
  if (numColumns === scaleColumnWords) return scales;
  throw new EpgenArgumentError(
    `Expected received.xScales to have ${scaleColumnWords} columns, as received scales do, but received ${numColumns}`,
  );
}

function checkExtras(rank: RankState, value: unknown): SizedTensor {
  return checkRows(rank, value, {
    name: 'received.extras',
    dtype: 'u8',
    rowSize: rank.group.description.spec.extraBytes,
    rowSizeName: 'extraBytes',
  });
}

/** Refuses rows that are not those of the handle. */
function checkNumRows(tensors: Tensors, wanted: number): number {
  for (const [name, { numRows }] of Object.entries<{ readonly numRows?: number }>({ ...tensors })) {
    if (numRows === undefined || numRows === wanted) continue;
    throw new EpgenArgumentError(
      `Expected received.${name} to have ${wanted} rows, those that received.handle received, but received ${numRows}`,
    );
  }
  return wanted;
}
