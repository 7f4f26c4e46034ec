// Checks that the machine code of kernels has the releases, acquires and fences that their header comments name.
//
//   node test/gpu/sass-check.mjs <addon, program, cubin, or text of `cuobjdump --dump-sass`>...
//
// A file that is no text needs cuobjdump on PATH. Prints a line for each kernel and each problem; exits with 1 when
// something is missing or more than expected. `--list` prints the ordering instructions instead, a short text that
// can be checked again.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

// Instructions that order memory or move it between ranks. As ptxas 13.0 writes them for sm_90a:
//   st/red.release.sys      MEMBAR.ALL.SYS, then the store or addition with .STRONG.SYS
//   ld.acquire.sys          LDG...STRONG.SYS, then CCTL.IVALL, which drops the lines that L1 holds
//   fence.proxy.async       MEMBAR.ALL.GPU, then FENCE.VIEW.ASYNC; for shared memory only, MEMBAR.ALL.CTA instead
//   (before a wider MEMBAR, in kernels with mbarriers, also one of .CTA, which is left out here)
//   cp.async.bulk           UBLKCP.S.G to shared memory, UBLKCP.G.S from it
//   ...commit_group         UTMACMDFLUSH
//   ...wait_group N         DEPBAR.LE SB0, N, and with CCTL.IVALL when not .read
const ORDERING =
  /STRONG|MEMBAR|FENCE|UBLKCP|CCTL|SYNCS\.ARRIVE|UTMACMDFLUSH|DEPBAR|CONSTANT|\.NC\b|MULTIMEM/;

const RELEASE = 'MEMBAR.ALL.SYS';
const FENCE = 'FENCE.VIEW.ASYNC.S';
const FILL = ['SYNCS.ARRIVE.TRANS64', 'UBLKCP.S.G'];
const FREE = 'SYNCS.ARRIVE.TRANS64.A1T0';

// Words that a thread sets when it gives up: the same code in both kernels that wait.
const GAVE_UP = [
  ['latch of the first to give up', 1, ['ATOMG.E.OR.STRONG.SYS']],
  ['abort words of all ranks', 1, ['REDG.E.OR.STRONG.SYS']],
];

const A_PIECE = (numPieces) => numPieces;

const COMBINE = {
  piece: 'UBLKCP.S.G',
  edges: [
    ['ready: expert outputs released to each rank', 1, [RELEASE, 'STG.E.64.STRONG.SYS']],
    ['ready: acquired from each rank', 1, ['LDG.E.64.STRONG.SYS', 'CCTL.IVALL']],
    ['ready: what was acquired, to the copy engine', 1, ['MEMBAR.ALL.GPU', FENCE]],
    ['ring: a piece is pulled', A_PIECE, FILL],
    ['ring: a stage that was read, to the copy engine', A_PIECE, ['MEMBAR.ALL.CTA', FENCE, FREE]],
    ['fault record, released to the host', 1, [RELEASE, 'STG.E.STRONG.SYS']],
    ...GAVE_UP,
  ],
  totals: [
    ['LDG.E.64.STRONG.SYS', 1],
    ['STG.E.64.STRONG.SYS', 1],
    ['MEMBAR.ALL.SYS', 2],
    ['CCTL.IVALL', 1],
    [FREE, A_PIECE],
  ],
};

const ACQUIRED = ['LDG.E.STRONG.SYS', 'CCTL.IVALL'];

/** Its variants are told by what they do: rows are loaded by the copy engine or cast, and a credit is acquired or not. */
function lowLatencyDispatch(listing) {
  const casts = !listing.includes('UBLKCP.S.G');
  const credits = countRuns(listing, ACQUIRED) > 1 ? 1 : 0;
  return {
    edges: [
      [
        'arrivals: all copies of the block are complete',
        1,
        ['DEPBAR.LE 0x0', 'CCTL.IVALL', 'MEMBAR.ALL.GPU', FENCE],
      ],
      ['arrivals: released to each destination', 1, [RELEASE, 'REDG.E.ADD.STRONG.SYS']],
      // Of the words of started only the upper half is looked at.
      ['arrivals and started: acquired from each rank', 1 + credits, ACQUIRED],
      ['started: released to each rank', credits, [RELEASE, 'STG.E.64.STRONG.SYS']],
      ['last block of the rank: takes a ticket', 1, ['ATOMG.E.ADD.STRONG.GPU']],
      ['stages: a row is brought', casts ? 0 : 2, FILL],
      ['stages: a row was cast', casts ? 1 : 0, ['MEMBAR.ALL.CTA', FENCE]],
      ['stages: a row is sent', 1, ['UBLKCP.G.S', 'UTMACMDFLUSH']],
      [
        'count record, its wrong token and fault record, released to the host',
        3,
        [RELEASE, 'STG.E.STRONG.SYS'],
      ],
      ...GAVE_UP,
    ],
    totals: [
      // Counts, relaxed: places, and those for the caller.
      ['LDG.E.64.STRONG.SYS', 2],
      // Copies that are complete; before, those that have left a stage.
      ['DEPBAR.LE 0x0', 2],
      // Before arrivals; and what was acquired with started, to the copy engine.
      ['MEMBAR.ALL.GPU', 1 + credits],
      ['MEMBAR.ALL.SYS', 4 + credits],
      ['CCTL.IVALL', 2 + credits],
    ],
  };
}

/**
 * For each kernel: the instruction that stands once for each piece of the unrolled row loop; the edges, each with how
 * often its instructions stand in a row; and how often an instruction stands in all. A count is a number, or depends on
 * the number of pieces. What varies more is a function of the listing.
 */
const KERNELS = {
  dispatch: {
    piece: 'UBLKCP.G.S',
    edges: [
      [
        'arrivals: all copies of the block are complete',
        1,
        ['DEPBAR.LE 0x0', 'CCTL.IVALL', 'MEMBAR.ALL.GPU', FENCE],
      ],
      ['arrivals: released to each destination', 1, [RELEASE, 'REDG.E.ADD.STRONG.SYS']],
      ['arrivals: acquired from each source', 1, ['LDG.E.STRONG.SYS', 'CCTL.IVALL']],
      ['last block of the rank: takes a ticket', 1, ['ATOMG.E.ADD.STRONG.GPU']],
      ['ring: a piece is brought', 2, FILL],
      ['ring: a piece is sent', A_PIECE, ['UBLKCP.G.S', 'UTMACMDFLUSH']],
      ['ring: a stage has been read', A_PIECE, ['DEPBAR.LE N', FREE]],
      [
        'count record, its wrong token and fault record, released to the host',
        3,
        [RELEASE, 'STG.E.STRONG.SYS'],
      ],
      ...GAVE_UP,
    ],
    totals: [
      // Rank counts and expert counts, relaxed: bases, rows, experts. Stores are unrolled over the ranks.
      ['LDG.E.64.STRONG.SYS', 3],
      ['STG.E.STRONG.SYS', 3],
      ['MEMBAR.ALL.SYS', 4],
      ['CCTL.IVALL', 2],
      // Beside the stages that were read: a warp has counted its share of the experts.
      [FREE, (numPieces) => numPieces + 1],
    ],
  },
  combine: COMBINE,
  ll_combine: COMBINE,
  ll_dispatch: lowLatencyDispatch,
  ll_stage: {
    edges: [['fault record, released to the host', 1, [RELEASE, 'STG.E.STRONG.SYS']], ...GAVE_UP],
    totals: [
      ['MEMBAR.ALL.SYS', 1],
      ['CCTL.IVALL', 0],
    ],
  },
  dispatch_layout: {
    edges: [['count record, released to the host', 1, [RELEASE, 'STG.E.STRONG.SYS']]],
    totals: [
      ['MEMBAR.ALL.SYS', 1],
      ['CCTL.IVALL', 0],
    ],
  },
};

/** Never in a kernel: loads through the non-coherent path, and multicast. */
const FORBIDDEN = /CONSTANT|\.NC\b|MULTIMEM/;

/** Instructions of each kernel, reduced to those that order: [[function, [instruction]]]. */
function listings(text) {
  const functions = [];
  for (const line of text.split('\n')) {
    const [, name] = /Function : (\S+)/.exec(line) ?? [];
    if (name) functions.push([name, []]);
    const instruction = /^\s*(?:\/\*[0-9a-f]+\*\/)?\s*(?:@!?U?P\w+ )?([A-Z][\w.]+)(.*)/.exec(line);
    if (name || !instruction || functions.length === 0) continue;
    const [, opcode, operands] = instruction;
    if (!ORDERING.test(opcode)) continue;
    const count = /^DEPBAR/.test(opcode) ? ` ${/\b0x[0-9a-f]+/.exec(operands)?.[0]}` : '';
    functions.at(-1)[1].push(opcode + count);
  }
  return functions;
}

function kernelOf(name) {
  return /\d((?:dispatch_layout|(?:ll_)?(?:dispatch|combine)|ll_stage))_kernel(?:_loopback)?E/.exec(
    name,
  )?.[1];
}

function matches(instruction, pattern) {
  if (pattern === 'DEPBAR.LE N') return /^DEPBAR\.LE 0x(?!0$)/.test(instruction);
  return instruction === pattern;
}

function countRuns(listing, patterns) {
  return listing.filter((_, i) =>
    patterns.every((pattern, k) => i + k < listing.length && matches(listing[i + k], pattern)),
  ).length;
}

function problemsOf(kernel, all) {
  // They order nothing themselves and stand between the instructions of an edge.
  const between = all.filter((instruction) => !/^(?:CGA)?ERRBAR/.test(instruction));
  const listing = between.filter(
    (instruction, i) =>
      instruction !== 'MEMBAR.ALL.CTA' || !/^MEMBAR\.ALL\.(?:GPU|SYS)$/.test(between[i + 1]),
  );
  const table = KERNELS[kernel];
  const { piece, edges, totals } = typeof table === 'function' ? table(listing) : table;
  const expected = (count) => (typeof count === 'function' ? count(pieces) : count);
  const pieces = piece ? countRuns(listing, [piece]) : 0;
  const wrong = (what, seen, expected) =>
    seen === expected ? [] : [`${what}: ${seen} times, not ${expected}`];
  return [
    ...(piece && pieces === 0 ? [`no ${piece}`] : []),
    ...edges.flatMap(([edge, count, run]) =>
      wrong(`${edge} (${run.join(', ')})`, countRuns(listing, run), expected(count)),
    ),
    ...totals.flatMap(([instruction, count]) =>
      wrong(instruction, countRuns(listing, [instruction]), expected(count)),
    ),
    ...listing
      .filter((instruction) => FORBIDDEN.test(instruction))
      .map((instruction) => `${instruction} is forbidden`),
  ];
}

function sassOf(path) {
  const bytes = readFileSync(path);
  if (!bytes.includes(0)) return bytes.toString('utf8');
  return execFileSync('cuobjdump', ['--dump-sass', path], { encoding: 'utf8', maxBuffer: 2 ** 30 });
}

const args = process.argv.slice(2);
const isListing = args.includes('--list');
let numProblems = 0;
let numKernels = 0;
for (const path of args.filter((arg) => arg !== '--list')) {
  for (const [name, listing] of listings(sassOf(path))) {
    const kernel = kernelOf(name);
    if (!kernel) continue;
    numKernels += 1;
    if (isListing) {
      console.log([`Function : ${name}`, ...listing].join('\n'));
      continue;
    }
    const problems = problemsOf(kernel, listing);
    numProblems += problems.length;
    console.log(`${name}: ${problems.length === 0 ? 'ok' : problems.length}`);
    for (const problem of problems) console.log(`  ${problem}`);
  }
}
if (!isListing) console.log(`${numKernels} kernels, ${numProblems} problems`);
process.exitCode = numProblems > 0 || numKernels === 0 ? 1 : 0;
