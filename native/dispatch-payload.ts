import type { RawDispatchCall } from './addon-types.js';
import { assertAsMany, assertTokens, checkColumns, checkRows, type PerToken } from './arguments.js';
import type { RankState } from './rank-state.js';
import { hasScales } from './spec-features.js';

/** What travels to every rank that takes a token: its row, and what lies beside it. */
export interface Payload {
  readonly numTokens: number;
  readonly pointers: Pick<RawDispatchCall, 'x' | 'xScales' | 'extras'>;
  /** Throws where a tensor is not usable any more. */
  recheck(): void;
}

type Call = Readonly<Record<string, unknown>>;

/** Checks rows, scales and extras, as far as the spec has them. */
export function checkPayload(rank: RankState, call: Call, path: string): Payload {
  const { dims, description } = rank.group;
  const { spec } = description;
  const x = checkRows(rank, call.x, {
    name: `${path}x`,
    dtype: spec.dtype,
    rowSize: dims.hidden,
    rowSizeName: 'hidden',
  });
  const numTokens = x.numRows;
  const rows = { name: `${path}x`, size: numTokens };
  assertTokens(rank, rows.name, numTokens);
  const xScales = hasScales(spec)
    ? checkScales(rank, call.xScales, `${path}xScales`, rows)
    : undefined;
  const extras =
    spec.extraBytes > 0 ? checkExtras(rank, call.extras, `${path}extras`, rows) : undefined;
  return {
    numTokens,
    pointers: {
      x: x.storage.pointer,
      ...(xScales ? { xScales: xScales.storage.pointer } : {}),
      ...(extras ? { extras: extras.storage.pointer } : {}),
    },
    recheck: () => {
      for (const tensor of [x, xScales, extras]) tensor?.recheck();
    },
  };
}

function checkScales(rank: RankState, value: unknown, name: string, x: PerToken) {
  const { scaleDtype, scaleLayout } = rank.group.description.spec;
  const wanted = {
    name,
    dtype: scaleDtype === 'f32' ? 'f32' : 'i32',
    rowSize: rank.group.dims.numScaleWords,
    rowSizeName: 'scales of a token',
  } as const;
  if (scaleLayout === 'column') {
    const scales = checkColumns(rank, value, wanted);
    assertAsMany('columns', { name, size: scales.numColumns }, x);
    return scales;
  }
  const scales = checkRows(rank, value, wanted);
  assertAsMany('rows', { name, size: scales.numRows }, x);
  return scales;
}

function checkExtras(rank: RankState, value: unknown, name: string, x: PerToken) {
  const { extraBytes } = rank.group.description.spec;
  const wanted = { name, dtype: 'u8', rowSize: extraBytes, rowSizeName: 'extraBytes' } as const;
  const extras = checkRows(rank, value, wanted);
  assertAsMany('rows', { name, size: extras.numRows }, x);
  return extras;
}
