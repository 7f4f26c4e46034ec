import type {
  Bits,
  DispatchOutput,
  ExpertMajorOutput,
  Indices,
  ReceivedRows,
  ReferenceHandle,
  RoutedOutput,
} from '../../native/reference/index.js';
import { type ScaleShape, scaleIndex } from '../../native/reference/index.js';
import type { Spec } from '../../native/spec-types.js';
import { shapeOf } from './model.js';

/** What a comparison needs of a tensor. */
interface GotTensor {
  readonly shape: readonly number[];
  toArray(): Promise<ArrayLike<number | bigint>>;
}

type Counts = GotTensor | Int32Array;

/** Rows that arrived, as any kind of dispatch gives them. */
export interface GotRows {
  readonly x: GotTensor;
  readonly xScales?: GotTensor;
  readonly extras?: GotTensor;
}

/** What any dispatch that routes gives. */
export interface GotReceived extends GotRows {
  readonly topkIdx: GotTensor | null;
  readonly topkWeights: GotTensor | null;
  readonly srcIdx?: GotTensor;
  readonly numTokensPerExpert: Counts;
  /** Of slotted placement. */
  readonly numTokensPerRank?: Counts;
  readonly handle: {
    readonly [Field in keyof ReferenceHandle]: () => Promise<ArrayLike<number>>;
  };
}

/** Rows by expert. */
export interface GotExpertMajor extends GotRows {
  readonly topkWeights: GotTensor;
  readonly slot: GotTensor;
  readonly numTokensPerExpert: Counts;
}

/** The first difference, in words; undefined when the bits are the same. */
export function difference(
  what: string,
  width: number,
  got: ArrayLike<number | bigint>,
  want: ArrayLike<number | bigint>,
): string | undefined {
  if (got.length !== want.length) return `${what}: ${got.length} elements, expected ${want.length}`;
  for (let i = 0; i < want.length; i++) {
    if (got[i] !== want[i]) {
      return `${what}[${Math.floor(i / width)}][${i % width}]: got ${got[i]}, expected ${want[i]}`;
    }
  }
  return undefined;
}

export function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

/** A tensor's elements, f32 as their bits. */
async function bitsIn(tensor: GotTensor): Promise<ArrayLike<number | bigint>> {
  const array = await tensor.toArray();
  return array instanceof Float32Array ? bitsOf(array) : array;
}

/** Compares what arrived beside each other of `want.arrivals`, bit for bit. Returns the differences. */
export async function rowDifferences(
  spec: Spec,
  rank: number,
  got: GotRows,
  want: ReceivedRows,
): Promise<string[]> {
  return payloadDifferences(spec, `rank ${rank}`, got, { ...want, rows: definedRows(want) });
}

/** Compares all that one rank received, handle included, with the model. Returns the differences. */
export async function receivedDifferences(
  spec: Spec,
  rank: number,
  got: GotReceived,
  want: RoutedOutput | DispatchOutput<Bits, Indices>,
): Promise<string[]> {
  const name = (field: string) => `rank ${rank} ${field}`;
  const rows = definedRows(want);
  const { count } = spec.channels.memory;
  const matrix = async (field: keyof ReferenceHandle, width: number) =>
    difference(name(field), width, await got.handle[field](), want.handle[field]);
  const counts = async (field: 'numTokensPerExpert' | 'numTokensPerRank') => {
    const array = got[field];
    return array && difference(name(field), 1, await countsIn(array), want[field]);
  };
  return [
    ...(await rowDifferences(spec, rank, got, want)),
    ...(await topkDifferences(spec, rank, got, want)),
    got.srcIdx && rowsDifference(name('srcIdx'), 1, await bitsIn(got.srcIdx), want.srcIdx, rows),
    await counts('numTokensPerExpert'),
    await counts('numTokensPerRank'),
    await matrix('slot', spec.ranks),
    await matrix('rankPrefixMatrix', spec.ranks),
    await matrix('channelPrefixMatrix', count),
    await matrix('recvChannelPrefixMatrix', count),
    await matrix('isTokenInRank', spec.ranks),
  ].filter((text) => text !== undefined);
}

/** Compares rows by expert with the model; of padding only that it is zero, where that was asked for. */
export async function expertMajorDifferences(
  spec: Spec,
  rank: number,
  got: GotExpertMajor,
  want: ExpertMajorOutput,
  { received, padsZeros }: { readonly received: ReceivedRows; readonly padsZeros: boolean },
): Promise<string[]> {
  const name = (field: string) => `rank ${rank} by expert, ${field}`;
  const rows = Array.from(want.isPadding.keys()).filter(
    (row) => padsZeros || want.isPadding[row] === 0,
  );
  const { scales } = shapeOf(spec);
  const columns =
    scales?.columnWords === undefined ? scales : { ...scales, columnWords: want.numRows };
  return [
    ...(await payloadDifferences(spec, `rank ${rank} by expert,`, got, {
      ...want,
      rows,
      scales: columns,
    })),
    rowsDifference(name('topkWeights'), 1, await bitsIn(got.topkWeights), want.topkWeights, rows),
    rowsDifference(
      name('slot'),
      spec.topk,
      await got.slot.toArray(),
      want.slot,
      definedRows(received),
    ),
    difference(
      name('numTokensPerExpert'),
      1,
      await countsIn(got.numTokensPerExpert),
      want.numTokensPerExpert,
    ),
  ].filter((text) => text !== undefined);
}

interface WantedRows {
  readonly numRows: number;
  readonly x: ArrayLike<number>;
  readonly xScales?: ArrayLike<number>;
  readonly extras?: ArrayLike<number>;
  /** Those that are defined. */
  readonly rows: readonly number[];
  /** How scales lie, where that is not as in the receive window. */
  readonly scales?: ScaleShape;
}

function definedRows({ arrivals }: ReceivedRows): number[] {
  return arrivals.map(({ row }) => row);
}

async function payloadDifferences(
  spec: Spec,
  of: string,
  got: GotRows,
  want: WantedRows,
): Promise<string[]> {
  const { hidden, extraBytes = 0, scales } = shapeOf(spec);
  const { rows } = want;
  const shape = want.scales ?? scales;
  const missing = (field: string) => `${of} ${field}: not there`;
  return [
    got.x.shape[0] === want.numRows
      ? undefined
      : `${of} x: ${got.x.shape[0]} rows, expected ${want.numRows}`,
    rowsDifference(`${of} x`, hidden, await bitsIn(got.x), want.x, rows),
    want.extras &&
      (got.extras
        ? rowsDifference(`${of} extras`, extraBytes, await bitsIn(got.extras), want.extras, rows)
        : missing('extras')),
    shape &&
      want.xScales &&
      (got.xScales
        ? scalesDifference(`${of} xScales`, shape, await bitsIn(got.xScales), want.xScales, rows)
        : missing('xScales')),
  ].filter((text) => text !== undefined);
}

async function topkDifferences(
  spec: Spec,
  rank: number,
  got: GotReceived,
  want: RoutedOutput | DispatchOutput<Bits, Indices>,
): Promise<(string | undefined)[]> {
  const name = (field: string) => `rank ${rank} ${field}`;
  if (!('topkIdx' in want)) {
    return [
      got.topkIdx === null ? undefined : `${name('topkIdx')}: expected null`,
      got.topkWeights === null ? undefined : `${name('topkWeights')}: expected null`,
    ];
  }
  if (got.topkIdx === null || got.topkWeights === null) return [`${name('topkIdx')}: not there`];
  const rows = definedRows(want);
  // Rows that fill up numWorstTokens say that they are for no expert.
  const isCompact = spec.channels.memory.placement === 'compact';
  const idxRows = isCompact ? Array.from({ length: want.numRows }, (_, row) => row) : rows;
  const { topk } = spec;
  const weights = await bitsIn(got.topkWeights);
  return [
    rowsDifference(name('topkIdx'), topk, await got.topkIdx.toArray(), want.topkIdx, idxRows),
    rowsDifference(name('topkWeights'), topk, weights, want.topkWeights, rows),
  ];
}

/** As {@link difference}, of some rows. */
function rowsDifference(
  what: string,
  width: number,
  got: ArrayLike<number | bigint>,
  want: ArrayLike<number | bigint>,
  rows: readonly number[],
): string | undefined {
  if (got.length !== want.length) return `${what}: ${got.length} elements, expected ${want.length}`;
  for (const row of rows) {
    for (let i = 0; i < width; i++) {
      const at = row * width + i;
      if (got[at] !== want[at]) {
        return `${what}[${row}][${i}]: got ${got[at]}, expected ${want[at]}`;
      }
    }
  }
  return undefined;
}

function scalesDifference(
  what: string,
  shape: ScaleShape,
  got: ArrayLike<number | bigint>,
  want: ArrayLike<number>,
  rows: readonly number[],
): string | undefined {
  if (got.length !== want.length) return `${what}: ${got.length} words, expected ${want.length}`;
  for (const row of rows) {
    for (let word = 0; word < shape.words; word++) {
      const at = scaleIndex(shape, row, word);
      // i32 words hold four scales each: their sign means nothing.
      const bits = Number(got[at]) >>> 0;
      if (bits !== want[at])
        return `${what} of row ${row}, word ${word}: got ${bits}, expected ${want[at]}`;
    }
  }
  return undefined;
}

async function countsIn(counts: Counts): Promise<ArrayLike<number | bigint>> {
  return counts instanceof Int32Array ? counts : counts.toArray();
}
