import { roundUp } from './round.js';

/** Types that fields of generated structs may have, with what the C++ ABI of x86-64 and CUDA makes of them. */
export const CTYPES = {
  uint8_t: { bytes: 1, align: 1 },
  uint32_t: { bytes: 4, align: 4 },
  int32_t: { bytes: 4, align: 4 },
  uint64_t: { bytes: 8, align: 8 },
  int64_t: { bytes: 8, align: 8 },
  Mbarrier: { bytes: 8, align: 8 },
} as const;

export type Ctype = keyof typeof CTYPES;

export interface FieldInput {
  readonly ctype: Ctype;
  readonly name: string;
  /** Number of elements of an array; absent for a scalar. */
  readonly count?: number;
  readonly note: string;
  /** At least this alignment, beyond what the type asks for. */
  readonly align?: number;
}

export interface Field {
  readonly ctype: Ctype;
  readonly name: string;
  readonly isArray: boolean;
  readonly count: number;
  readonly note: string;
  readonly isOveraligned: boolean;
  readonly align: number;
  readonly offset: number;
  readonly bytes: number;
}

/** A struct in memory, laid out as the compiler will. */
export interface RecordLayout {
  readonly name: string;
  readonly doc: string;
  readonly isOveraligned: boolean;
  readonly align: number;
  readonly fields: readonly Field[];
  readonly bytes: number;
}

export interface RecordInput {
  readonly name: string;
  readonly doc: string;
  readonly align?: number;
  readonly fields: readonly FieldInput[];
}

/** Lays out a struct: each field at the next multiple of its alignment, the size a multiple of the largest. */
export function recordLayout({
  name,
  doc,
  align: asked = 1,
  fields: inputs,
}: RecordInput): RecordLayout {
  const fields: Field[] = [];
  let end = 0;
  let align = asked;
  for (const input of inputs) {
    const type = CTYPES[input.ctype];
    const count = input.count ?? 1;
    const fieldAlign = Math.max(type.align, input.align ?? 1);
    const offset = roundUp(end, fieldAlign);
    const bytes = type.bytes * count;
    fields.push({
      ctype: input.ctype,
      name: input.name,
      isArray: input.count !== undefined,
      count,
      note: input.note,
      isOveraligned: fieldAlign > type.align,
      align: fieldAlign,
      offset,
      bytes,
    });
    end = offset + bytes;
    align = Math.max(align, fieldAlign);
  }
  return { name, doc, isOveraligned: asked > 1, align, fields, bytes: roundUp(end, align) };
}
