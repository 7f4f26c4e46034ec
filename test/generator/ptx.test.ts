import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from '../../generator/generate.js';
import { parseSpec } from '../../generator/spec.js';
import { findCommand } from '../../generator/toolchain.js';

// Every instruction of a kernel that orders memory, as nvcc emits it: a release, acquire or fence that goes missing,
// weakens or multiplies is seen here. test/gpu/sass-check.mjs does the same for machine code.

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');

/** How often an instruction stands in a kernel whose row loop is unrolled into `pieces`. */
type Count = number | ((pieces: number) => number);

const perPiece: Count = (pieces) => pieces;
const load = 'cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes';
const store = 'cp.async.bulk.global.shared::cta.bulk_group';
const commit = 'cp.async.bulk.commit_group';
const expectBytes = 'mbarrier.arrive.expect_tx.release.cta.shared::cta.b64';
const arrive = 'mbarrier.arrive.release.cta.shared::cta.b64';
const look = 'ld.relaxed.sys.global.u32';

/** Looks at abort words: where a kernel asks for itself, and two in each wait, of which one is at the host's. */
function looks(asks: number, waits: Count): Readonly<Record<string, Count>> {
  return { [look]: (pieces) => asks + 2 * (typeof waits === 'number' ? waits : waits(pieces)) };
}

interface Ordering {
  /** The instruction that stands once a piece. */
  readonly piece?: string;
  readonly instructions: Readonly<Record<string, Count>>;
  /** Pairs of which the second follows the first, with no other ordering instruction between. */
  readonly adjacent?: readonly (readonly [string, string])[];
}

const kernels: Readonly<Record<string, Ordering>> = {
  dispatch: {
    piece: commit,
    instructions: {
      // rank_counts and expert_counts: published, and awaited for bases, rows and experts.
      'st.relaxed.sys.global.u64': 2,
      'ld.relaxed.sys.global.u64': 3,
      // arrivals: all of a block's copies, then one addition for each destination.
      'cp.async.bulk.wait_group 0': 1,
      'fence.proxy.async': 1,
      'red.release.sys.global.add.u32': 1,
      'ld.acquire.sys.global.u32': 1,
      // The count record, to the host: a choice that names no expert, then the tag.
      'st.release.sys.global.u32': 2,
      // Which block of the rank is the last: orders nothing.
      'atom.relaxed.gpu.global.add.u32': 1,
      // The ring: filled at first, filled again, stored from, freed.
      'fence.mbarrier_init.release.cluster': 1,
      [expectBytes]: 2,
      [load]: 2,
      [store]: perPiece,
      [commit]: perPiece,
      'cp.async.bulk.wait_group.read': perPiece,
      // Each freed stage, and a warp's share of the experts counted.
      [arrive]: (pieces) => pieces + 1,
      // Before the first access, before success, and in every wait.
      ...looks(2, (pieces) => 6 + pieces),
    },
    adjacent: [
      ['cp.async.bulk.wait_group 0', 'fence.proxy.async'],
      [expectBytes, load],
      [store, commit],
      ['cp.async.bulk.wait_group.read', arrive],
    ],
  },
  combine: {
    piece: load,
    instructions: {
      // ready: expert outputs of earlier work, acquired and handed to the copy engine.
      'st.release.sys.global.u64': 1,
      'ld.acquire.sys.global.u64': 1,
      'fence.proxy.async': 1,
      // The ring: filled, read, handed back to the copy engine.
      'fence.mbarrier_init.release.cluster': 1,
      [expectBytes]: perPiece,
      [load]: perPiece,
      'fence.proxy.async.shared::cta': perPiece,
      [arrive]: perPiece,
      ...looks(2, (pieces) => 1 + 2 * pieces),
    },
    adjacent: [
      ['st.release.sys.global.u64', 'ld.acquire.sys.global.u64'],
      [expectBytes, load],
      ['fence.proxy.async.shared::cta', arrive],
    ],
  },
  dispatch_layout: {
    // The count record, to the host.
    instructions: { 'st.release.sys.global.u32': 1 },
  },
};

/** rank_counts as a credit: released, and acquired before the copy engine writes on its strength. */
const creditWords: Readonly<Record<string, Count>> = {
  'st.release.sys.global.u64': 1,
  'ld.acquire.sys.global.u64': 1,
  'fence.proxy.async': 2,
};

const cachedDispatch: Ordering = {
  piece: commit,
  instructions: {
    // arrivals, as in dispatch.
    'cp.async.bulk.wait_group 0': 1,
    'fence.proxy.async': 1,
    'red.release.sys.global.add.u32': 1,
    'ld.acquire.sys.global.u32': 1,
    'atom.relaxed.gpu.global.add.u32': 1,
    // The ring.
    'fence.mbarrier_init.release.cluster': 1,
    [expectBytes]: 2,
    [load]: 2,
    [store]: perPiece,
    [commit]: perPiece,
    'cp.async.bulk.wait_group.read': perPiece,
    [arrive]: perPiece,
    ...looks(1, (pieces) => 2 + pieces),
  },
  adjacent: kernels.dispatch!.adjacent!,
};

/** Low-latency dispatch of bf16. */
const lowLatencyDispatch: Ordering = {
  instructions: {
    // counts: published, and awaited for places and for the caller.
    'st.relaxed.sys.global.u64': 1,
    'ld.relaxed.sys.global.u64': 2,
    // arrivals: all of a block's copies, then one addition for each destination.
    'cp.async.bulk.wait_group 0': 1,
    'fence.proxy.async': 1,
    'red.release.sys.global.add.u32': 1,
    'ld.acquire.sys.global.u32': 1,
    // The record, to the host: a choice that names no expert, then the tag.
    'st.release.sys.global.u32': 2,
    // Which block of the rank is the last: orders nothing.
    'atom.relaxed.gpu.global.add.u32': 1,
    // The stages: the first row, those behind it, stored from, free again.
    'fence.mbarrier_init.release.cluster': 1,
    [expectBytes]: 2,
    [load]: 2,
    [store]: 1,
    [commit]: 1,
    'cp.async.bulk.wait_group.read 0': 1,
    // At the start of a send and of a receive alone, before success, and in every wait.
    ...looks(3, 4),
  },
  adjacent: [
    ['cp.async.bulk.wait_group 0', 'fence.proxy.async'],
    ['fence.proxy.async', 'red.release.sys.global.add.u32'],
    [expectBytes, load],
    [store, commit],
  ],
};

/** The same with a cast, by way of registers: each writer hands its part of the row to the copy engine. */
const castingDispatch: Ordering = {
  instructions: {
    ...lowLatencyDispatch.instructions,
    'fence.mbarrier_init.release.cluster': 0,
    [expectBytes]: 0,
    [load]: 0,
    'fence.proxy.async.shared::cta': 1,
    ...looks(3, 3),
  },
  adjacent: [
    ['cp.async.bulk.wait_group 0', 'fence.proxy.async'],
    ['fence.proxy.async', 'red.release.sys.global.add.u32'],
    [store, commit],
  ],
};

/** started: released at once, and acquired before the copy engine writes on its strength. */
const lowLatencyCredit: Readonly<Record<string, Count>> = {
  'st.release.sys.global.u64': 1,
  'ld.acquire.sys.global.u64': 1,
  'fence.proxy.async': 2,
};

/** A spec with low-latency calls; as many experts as a block has threads, so that no loop over them is unrolled. */
function lowLatency(ll: object): object {
  return { hidden: 512, experts: 256, ll: { maxTokensPerRank: 40, ...ll } };
}

/** Kernels and variants of kernels that a spec has only where it asks for them; `spec` fields beside those of all. */
const variants: readonly {
  readonly what: string;
  readonly file: string;
  readonly spec: object;
  readonly ht: object;
  readonly ordering: Ordering;
}[] = [
  {
    what: 'combine with top-k weights and biases',
    file: 'combine',
    spec: { combineDtype: 'f32' },
    ht: { combineWeights: true, biases: 2 },
    ordering: {
      // Rows of one piece, which are not the only loads.
      piece: expectBytes,
      instructions: {
        ...kernels.combine!.instructions,
        // ready_weights: before the release of ready, and after the acquire of it.
        'st.relaxed.sys.global.u64': 1,
        'ld.relaxed.sys.global.u64': 1,
        [load]: 2,
        ...looks(2, 4),
      },
      adjacent: [
        ['st.relaxed.sys.global.u64', 'st.release.sys.global.u64'],
        ['st.release.sys.global.u64', 'ld.acquire.sys.global.u64'],
        [expectBytes, load],
        ['fence.proxy.async.shared::cta', arrive],
      ],
    },
  },
  {
    what: 'dispatch with a credit, scales and padding',
    file: 'dispatch',
    spec: { dtype: 'fp8_e4m3', scaleBlock: 16, scaleLayout: 'column', topkIdx: 'i32' },
    ht: { credit: true, worstTokens: true },
    ordering: {
      piece: commit,
      instructions: {
        ...kernels.dispatch!.instructions,
        ...creditWords,
        'st.relaxed.sys.global.u64': 1,
        ...looks(2, (pieces) => 7 + pieces),
      },
      adjacent: kernels.dispatch!.adjacent!,
    },
  },
  {
    what: 'dispatch with a credit to slots',
    file: 'dispatch',
    spec: { channels: { memory: { placement: 'slotted' } } },
    ht: { credit: true },
    ordering: {
      piece: commit,
      instructions: {
        ...kernels.dispatch!.instructions,
        ...creditWords,
        'st.relaxed.sys.global.u64': 1,
        // Bases follow from nobody's counts.
        'ld.relaxed.sys.global.u64': 2,
        ...looks(2, (pieces) => 6 + pieces),
      },
      adjacent: kernels.dispatch!.adjacent!,
    },
  },
  {
    what: 'dispatch from a layout',
    file: 'dispatch_without_topk',
    spec: { extraBytes: 4 },
    ht: { withoutTopk: true },
    ordering: {
      ...kernels.dispatch!,
      instructions: {
        ...kernels.dispatch!.instructions,
        // Each freed stage; selections need no counting, and none is wrong.
        [arrive]: perPiece,
        'st.release.sys.global.u32': 1,
        ...looks(2, (pieces) => 5 + pieces),
      },
    },
  },
  {
    what: 'dispatch from a handle',
    file: 'dispatch_cached',
    spec: { extraBytes: 4 },
    ht: { cached: true },
    ordering: cachedDispatch,
  },
  {
    what: 'dispatch from a handle with a credit',
    file: 'dispatch_cached',
    spec: {},
    ht: { cached: true, credit: true },
    ordering: {
      ...cachedDispatch,
      instructions: {
        ...cachedDispatch.instructions,
        ...creditWords,
        ...looks(1, (pieces) => 3 + pieces),
      },
    },
  },
  {
    what: 'low-latency dispatch',
    file: 'll_dispatch',
    spec: lowLatency({}),
    ht: {},
    ordering: lowLatencyDispatch,
  },
  {
    what: 'low-latency dispatch with a credit and statistics',
    file: 'll_dispatch',
    spec: lowLatency({ credit: true, stats: true }),
    ht: {},
    ordering: {
      instructions: {
        ...lowLatencyDispatch.instructions,
        ...lowLatencyCredit,
        ...looks(3, 5),
      },
      adjacent: [
        ['cp.async.bulk.wait_group 0', 'fence.proxy.async'],
        [expectBytes, load],
        [store, commit],
      ],
    },
  },
  {
    what: 'low-latency dispatch with a cast',
    file: 'll_dispatch',
    spec: lowLatency({ dtype: 'fp8_e4m3' }),
    ht: {},
    ordering: castingDispatch,
  },
  {
    what: 'low-latency dispatch with a cast to UE8M0 columns and a credit',
    file: 'll_dispatch',
    spec: lowLatency({
      ...{ dtype: 'fp8_e4m3', scaleDtype: 'ue8m0', roundScales: true, scaleLayout: 'column' },
      credit: true,
    }),
    ht: {},
    ordering: {
      instructions: {
        ...castingDispatch.instructions,
        ...lowLatencyCredit,
        ...looks(3, 4),
      },
      adjacent: [
        ['cp.async.bulk.wait_group 0', 'fence.proxy.async'],
        [store, commit],
      ],
    },
  },
  // ready and the ring, as in combine.
  ...['bf16', 'fp8_e4m3'].map((combineDtype) => ({
    what: `low-latency combine of ${combineDtype}`,
    file: 'll_combine',
    spec: lowLatency({ combineDtype }),
    ht: {},
    ordering: kernels.combine!,
  })),
  // What it reads was there before, and the combine behind it releases what it writes.
  ...['bf16', 'fp8_e4m3'].map((combineDtype) => ({
    what: `low-latency stage of ${combineDtype}`,
    file: 'll_stage',
    spec: lowLatency({ combineDtype }),
    ht: {},
    ordering: { instructions: looks(1, 0) },
  })),
  // This rank's memory only: nothing is ordered but by the ends of kernels.
  ...['expert_counts', 'expert_major', 'expert_sum'].map((file) => ({
    what: file,
    file,
    spec: { extraBytes: 4 },
    ht: { expertMajor: true },
    ordering: { instructions: {} },
  })),
];

/** Out of line, shared by all waits: the latch of the first to give up, the record it leaves, the other ranks. */
const functions: Readonly<Record<string, Ordering>> = {
  is_first_to_give_up: { instructions: { 'atom.relaxed.sys.global.or.b32': 1 } },
  give_up: { instructions: { 'st.release.sys.global.u32': 1 } },
  abort_group: { instructions: { 'red.relaxed.sys.global.or.b32': 1 } },
};

/**
 * The ordering instructions of each function of a PTX text, in its order. Without mbarrier.init and try_wait, of
 * which there are as many as stages of the ring.
 */
function orderingInstructions(ptx: string): Map<string, string[]> {
  const listings = ptx
    .split(/^(?=(?:\.visible |\.weak )?\.(?:entry|func) )/m)
    .slice(1)
    .filter((text) => text.includes('\n{'))
    .map((text): [string, string[]] => {
      const instructions = [
        ...text.matchAll(/^\s*(?:@!?%p\d+ )?([a-z][\w.:]+)(?:[ \t]+(\d+);)?/gm),
      ].map(([, opcode, operand]) => (operand === '0' ? `${opcode} 0` : opcode!));
      return [functionName(text), instructions.filter(isOrdering)];
    });
  return new Map(listings);
}

function functionName(text: string): string {
  const [, mangled = ''] = /(_ZN\w+)/.exec(text) ?? [];
  // _ZN5epgen<length><spec><length><name>E...
  const names = [...mangled.matchAll(/\d+([a-z_]\w*?)(?=\d|E)/g)].map(([, name]) => name!);
  const kernel = /\d((?:dispatch|combine|expert|ll)[a-z_]*_kernel(?:_loopback)?)E/.exec(
    mangled,
  )?.[1];
  return kernel ?? names.at(-1)?.replace(/E.*/, '') ?? mangled;
}

function isOrdering(opcode: string): boolean {
  if (/^mbarrier\.(?:init|try_wait)/.test(opcode) || opcode.startsWith('atom.shared')) return false;
  return /^(?:fence|membar|cp|red|atom|mbarrier|multimem)\.|\.(?:sys|gpu|acquire|release|volatile|mmio|nc)\b/.test(
    opcode,
  );
}

/** How a function differs from what its table says. */
function problems(listing: readonly string[], ordering: Ordering): string[] {
  const pieces = ordering.piece ? listing.filter((opcode) => opcode === ordering.piece).length : 1;
  const count = (opcode: string) => listing.filter((other) => other === opcode).length;
  const opcodes = new Set([...listing, ...Object.keys(ordering.instructions)]);
  const counts = [...opcodes].flatMap((opcode) => {
    const wanted = ordering.instructions[opcode] ?? 0;
    const expected = typeof wanted === 'number' ? wanted : wanted(Math.max(pieces, 1));
    return count(opcode) === expected ? [] : [`${opcode}: ${count(opcode)} times, not ${expected}`];
  });
  const pairs = (ordering.adjacent ?? []).flatMap(([first, second]) =>
    listing.some((opcode, i) => opcode === first && listing[i + 1] !== second)
      ? [`${second} does not follow ${first}`]
      : [],
  );
  return [...counts, ...pairs].sort();
}

const nvcc = await findCommand('nvcc');

describe.skipIf(nvcc === undefined)(
  'ordering instructions of the kernels (skipped: no nvcc on PATH)',
  () => {
    let scratch = '';
    beforeAll(() => {
      scratch = mkdtempSync(join(tmpdir(), 'epgen-ptx-'));
    });
    afterAll(() => rmSync(scratch, { recursive: true }));

    async function compile(source: string, includeDir: string): Promise<Map<string, string[]>> {
      const output = join(scratch, 'kernel.ptx');
      const includes = ['-I', join(root, 'native'), '-I', includeDir];
      await run(nvcc as string, [
        '-std=c++20',
        '-arch=compute_90a',
        '--ptx',
        ...includes,
        source,
        '-o',
        output,
      ]);
      return orderingInstructions(readFileSync(output, 'utf8'));
    }

    // Rows of one, two and four pieces.
    const specs = ['ep2_h64_bf16', 'ep4_h2880_bf16', 'ep8_h7168_bf16'];
    const cases = specs.flatMap((spec) => Object.keys(kernels).map((kernel) => ({ spec, kernel })));

    it.each(cases)('$spec, $kernel', async ({ spec, kernel }) => {
      const dir = join(root, 'generated', spec);
      const listings = await compile(join(dir, `${kernel}.cu`), dir);
      const expected = {
        [`${kernel}_kernel`]: kernels[kernel]!,
        [`${kernel}_kernel_loopback`]: kernels[kernel]!,
        ...(kernel === 'dispatch_layout' ? {} : functions),
      };
      expect([...listings.keys()].sort()).toEqual(Object.keys(expected).sort());
      for (const [name, ordering] of Object.entries(expected))
        expect(problems(listings.get(name)!, ordering), name).toEqual([]);
    });

    const shape = { ranks: 2, hidden: 64, experts: 6, topk: 5 };

    it.each(variants)('$what', async (variant) => {
      const { file, ordering } = variant;
      const textOf = textsOf(variant);
      for (const name of [`${file}.cu`, 'layout.cuh'])
        writeFileSync(join(scratch, name), textOf(name));
      const listings = await compile(join(scratch, `${file}.cu`), scratch);
      for (const name of [`${file}_kernel`, `${file}_kernel_loopback`])
        expect(problems(listings.get(name)!, ordering), name).toEqual([]);
    });

    const planted: readonly {
      readonly what: string;
      readonly kernel: string;
      /** Of the variant that is spoiled; of a kernel that all specs have: none. */
      readonly variant?: string;
      readonly from: string;
      readonly to: string;
      readonly found: readonly string[];
    }[] = [
      {
        what: 'combine reads what it acquired without a proxy fence',
        kernel: 'combine',
        from: '    fence_proxy_async();\n',
        to: '',
        found: ['fence.proxy.async: 0 times, not 1'],
      },
      {
        what: 'a stage goes back to the copy engine without a proxy fence',
        kernel: 'combine',
        from: 'fence_proxy_async_shared();',
        to: '',
        found: ['fence.proxy.async.shared::cta: 0 times, not 1'],
      },
      {
        what: 'ready words are published relaxed',
        kernel: 'combine',
        from: 'st_release_sys(EPGEN_FIELD(control, ready)',
        to: 'st_relaxed_sys(EPGEN_FIELD(control, ready)',
        found: [
          'st.relaxed.sys.global.u64: 1 times, not 0',
          'st.release.sys.global.u64: 0 times, not 1',
        ],
      },
      {
        what: 'ready words are awaited relaxed',
        kernel: 'combine',
        from: 'wait_acquire_sys(',
        to: 'wait_relaxed_sys(',
        found: [
          'ld.acquire.sys.global.u64 does not follow st.release.sys.global.u64',
          'ld.acquire.sys.global.u64: 0 times, not 1',
          'ld.relaxed.sys.global.u64: 1 times, not 0',
        ],
      },
      {
        what: 'arrivals are announced when rows have only been read',
        kernel: 'dispatch',
        from: '    bulk_wait_group<0>();',
        to: '    bulk_wait_group_read<0>();',
        found: [
          'cp.async.bulk.wait_group 0: 0 times, not 1',
          'cp.async.bulk.wait_group.read 0: 1 times, not 0',
        ],
      },
      {
        what: 'arrivals are announced without a proxy fence',
        kernel: 'dispatch',
        from: '    fence_proxy_async();\n',
        to: '',
        found: [
          'fence.proxy.async does not follow cp.async.bulk.wait_group 0',
          'fence.proxy.async: 0 times, not 1',
        ],
      },
      {
        what: 'arrivals are awaited relaxed',
        kernel: 'dispatch',
        from: 'wait_acquire_sys(',
        to: 'wait_relaxed_sys(',
        found: [
          'ld.acquire.sys.global.u32: 0 times, not 1',
          'ld.relaxed.sys.global.u32: 17 times, not 16',
        ],
      },
      {
        what: 'the record is handed to the host without release',
        kernel: 'dispatch_layout',
        from: 'st_release_sys(EPGEN_FIELD(record, tag)',
        to: 'st(EPGEN_FIELD(record, tag)',
        found: ['st.release.sys.global.u32: 0 times, not 1'],
      },
      {
        what: 'a low-latency dispatch announces rows that have only been read',
        kernel: 'll_dispatch',
        variant: 'low-latency dispatch',
        from: '        bulk_wait_group<0>();',
        to: '        bulk_wait_group_read<0>();',
        found: [
          'cp.async.bulk.wait_group 0: 0 times, not 1',
          'cp.async.bulk.wait_group.read 0: 2 times, not 1',
        ],
      },
      {
        what: 'a low-latency dispatch announces rows without a proxy fence',
        kernel: 'll_dispatch',
        variant: 'low-latency dispatch',
        from: '        fence_proxy_async();\n',
        to: '',
        found: [
          'fence.proxy.async does not follow cp.async.bulk.wait_group 0',
          'fence.proxy.async: 0 times, not 1',
        ],
      },
      {
        what: 'rows of a low-latency dispatch are awaited relaxed',
        kernel: 'll_dispatch',
        variant: 'low-latency dispatch with a cast',
        from: 'wait_acquire_sys(',
        to: 'wait_relaxed_sys(',
        found: [
          'ld.acquire.sys.global.u32: 0 times, not 1',
          'ld.relaxed.sys.global.u32: 10 times, not 9',
        ],
      },
      {
        what: 'a cast row reaches the copy engine without a proxy fence',
        kernel: 'll_dispatch',
        variant: 'low-latency dispatch with a cast',
        from: 'fence_proxy_async_shared();',
        to: '',
        found: ['fence.proxy.async.shared::cta: 0 times, not 1'],
      },
      {
        what: 'a low-latency dispatch writes on a credit without a proxy fence',
        kernel: 'll_dispatch',
        variant: 'low-latency dispatch with a credit and statistics',
        from: '    fence_proxy_async();\n    return ok;',
        to: '    return ok;',
        found: ['fence.proxy.async: 1 times, not 2'],
      },
      {
        what: 'a low-latency credit is given relaxed',
        kernel: 'll_dispatch',
        variant: 'low-latency dispatch with a credit and statistics',
        from: 'st_release_sys(EPGEN_FIELD(control, started)',
        to: 'st_relaxed_sys(EPGEN_FIELD(control, started)',
        found: [
          'st.relaxed.sys.global.u64: 2 times, not 1',
          'st.release.sys.global.u64: 0 times, not 1',
        ],
      },
      {
        what: 'low-latency ready words are published relaxed',
        kernel: 'll_combine',
        variant: 'low-latency combine of bf16',
        from: 'st_release_sys(EPGEN_FIELD(control, ready)',
        to: 'st_relaxed_sys(EPGEN_FIELD(control, ready)',
        found: [
          'st.relaxed.sys.global.u64: 1 times, not 0',
          'st.release.sys.global.u64: 0 times, not 1',
        ],
      },
      {
        what: 'low-latency combine reads what it acquired without a proxy fence',
        kernel: 'll_combine',
        variant: 'low-latency combine of fp8_e4m3',
        from: '    fence_proxy_async();\n',
        to: '',
        found: ['fence.proxy.async: 0 times, not 1'],
      },
    ];

    it.each(planted)('finds that $what', async ({ kernel, variant, from, to, found }) => {
      const spoiled = variants.find(({ what }) => what === variant);
      const file = textsOf(spoiled);
      const text = file(`${kernel}.cu`);
      expect(text.split(from)).toHaveLength(2);
      writeFileSync(join(scratch, `${kernel}.cu`), text.replace(from, to));
      writeFileSync(join(scratch, 'layout.cuh'), file('layout.cuh'));
      const listings = await compile(join(scratch, `${kernel}.cu`), scratch);
      const ordering = spoiled?.ordering ?? kernels[kernel]!;
      expect(problems(listings.get(`${kernel}_kernel`)!, ordering)).toEqual(found);
    });

    /** Files of a variant's spec; without one, of a spec that asks for nothing. */
    function textsOf(variant: (typeof variants)[number] | undefined): (name: string) => string {
      if (variant === undefined) {
        const dir = join(root, 'generated', 'ep2_h64_bf16');
        return (name) => readFileSync(join(dir, name), 'utf8');
      }
      const { spec, ht } = variant;
      const files = generate(
        parseSpec({ ...shape, ...spec, ht: { maxTokensPerRank: 40, ...ht } }, 'test'),
      );
      return (name) => files.get(name)!;
    }
  },
);
