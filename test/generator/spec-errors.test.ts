import { describe, expect, it } from 'vitest';
import { EpgenSpecError, EpgenUnsupportedError } from '../../generator/errors.js';
import { parseSpec } from '../../generator/spec.js';

function errorOf(input: unknown): Error {
  try {
    parseSpec(input, 'bad.spec.ts');
  } catch (error) {
    return error as Error;
  }
  throw new Error('Expected the spec to be refused');
}

const good = { ranks: 8, hidden: 7168 };
const FIELDS =
  'name, ranks, hidden, experts, topk, dtype, scaleBlock, scaleDtype, scaleLayout, extraBytes, combineDtype, topkIdx, ranksPerNode, ht, ll, channels, arenaBytes, maxSpillBytes';

const cases: readonly [name: string, input: unknown, lines: readonly string[]][] = [
  ['no object', 7, ['Expected the spec to be an object but received 7']],
  ['nothing', undefined, ['Expected the spec to be an object but it is missing']],
  [
    'both required fields missing',
    {},
    [
      'Expected ranks to be a positive integer but it is missing',
      'Expected hidden to be a positive integer but it is missing',
    ],
  ],
  [
    'an unknown field',
    { ...good, experst: 256 },
    [
      `Expected the spec to have only the fields ${FIELDS} but received experst`,
      '  fix: did you mean experts?',
    ],
  ],
  [
    'an unknown field of a section',
    { ...good, ht: { maxTokens: 4 } },
    [
      'Expected ht to have only the fields maxTokensPerRank, liveResults, credit, withoutTopk, cached, worstTokens, combineWeights, biases, expertMajor, readyCounters but received ht.maxTokens',
      '  fix: did you mean ht.maxTokensPerRank?',
    ],
  ],
  [
    'a field that belongs in a section',
    { ...good, liveResults: 3 },
    [
      `Expected the spec to have only the fields ${FIELDS} but received liveResults`,
      '  fix: did you mean ht.liveResults?',
    ],
  ],
  [
    'a number as text, and zero',
    { ranks: '8', hidden: 0 },
    [
      "Expected ranks to be a positive integer but received '8'",
      '  fix: 8',
      'Expected hidden to be a positive integer but received 0',
      '  fix: 8',
    ],
  ],
  [
    'a fraction',
    { ...good, topk: 2.5 },
    ['Expected topk to be a positive integer but received 2.5', '  fix: 3'],
  ],
  [
    'an unknown type',
    { ...good, dtype: 'fp8' },
    [
      "Expected dtype to be one of 'bf16', 'f16', 'fp8_e4m3', 'u8' but received 'fp8'",
      "  fix: 'fp8_e4m3'",
    ],
  ],
  [
    'scales of rows that have none',
    { ...good, scaleBlock: 32, scaleLayout: 'column' },
    [
      'Expected scaleBlock to be 128, its default, but received 32: rows of bf16 have no scales',
      '  fix: 128',
      "Expected scaleLayout to be 'row', its default, but received 'column': rows of bf16 have no scales",
      "  fix: 'row'",
    ],
  ],
  [
    'packed scales of half a word',
    { ...good, dtype: 'fp8_e4m3', hidden: 560, scaleDtype: 'ue8m0' },
    [
      'Expected hidden to be a multiple of 512 but received 560: every 4-byte word of packed scales is for four whole blocks',
      '  fix: 512',
    ],
  ],
  [
    'extras of half a word, and too many',
    { ...good, extraBytes: 65538 },
    [
      'Expected extraBytes to be a multiple of 4 but received 65538: they travel as 4-byte words',
      '  fix: 65536',
      'Expected extraBytes to be at most 65536 but received 65538: they travel word by word beside the row',
      '  fix: 65536',
    ],
  ],
  [
    'a section that is a flag',
    { ...good, ll: true },
    ['Expected ll to be false or an object but received true'],
  ],
  [
    'a wrong stage count',
    { ...good, channels: { memory: { stages: 'many' } } },
    ["Expected channels.memory.stages to be 'auto' or a positive integer but received 'many'"],
  ],
  [
    'hidden that is not whole vectors',
    { ...good, hidden: 7165 },
    [
      'Expected hidden to be a multiple of 8 but received 7165: rows move as whole 16-byte vectors',
      '  fix: 7168',
    ],
  ],
  [
    'hidden beyond all plans',
    { ...good, hidden: 1e9 },
    [
      'Expected hidden to be at most 16384 but received 1000000000: rows of at most 16384 elements are planned for',
      '  fix: 16384',
    ],
  ],
  [
    'experts that ranks cannot share',
    { ...good, experts: 250 },
    [
      'Expected experts to be a multiple of ranks (8) but received 250: every rank owns the same number of experts',
      '  fix: 248',
    ],
  ],
  [
    'too many experts',
    { ...good, experts: 4096 },
    [
      'Expected experts to be at most 2048 but received 4096: a block counts the selections of all experts in shared memory',
      '  fix: 2048',
    ],
  ],
  [
    'top-k above the experts',
    { ...good, experts: 8, topk: 9 },
    [
      'Expected topk to be at most experts (8) but received 9: a token chooses distinct experts',
      '  fix: 8',
    ],
  ],
  [
    'top-k above a warp',
    { ...good, topk: 33 },
    [
      "Expected topk to be at most 32 but received 33: a warp reads a token's choices one per lane",
      '  fix: 32',
    ],
  ],
  [
    'ranks that fill no whole nodes',
    { ...good, ranks: 9 },
    [
      'Expected ranks to be at most ranksPerNode (8), or a multiple of it but received 9: every node has the same number of ranks',
      '  fix: 8',
    ],
  ],
  [
    'a node with too many ranks',
    { ...good, ranks: 16, ranksPerNode: 16 },
    [
      'Expected ranksPerNode to be at most 8 but received 16: a node has at most 8 ranks',
      '  fix: 8',
    ],
  ],
  [
    'too many tokens',
    { ...good, ht: { maxTokensPerRank: 70_000 } },
    [
      'Expected ht.maxTokensPerRank to be at most 65536 but received 70000: indices of tokens and rows are 32-bit',
      '  fix: 65536',
    ],
  ],
  [
    'too many live results',
    { ...good, ht: { liveResults: 5 } },
    [
      'Expected ht.liveResults to be at most 4 but received 5: each live result takes a receive buffer',
      '  fix: 4',
    ],
  ],
  [
    'too many channels',
    { ...good, channels: { memory: { count: 65 } } },
    [
      "Expected channels.memory.count to be at most 64 but received 65: a block keeps every channel's counts in shared memory",
      '  fix: 64',
    ],
  ],
  [
    'pieces of broken vectors',
    { ...good, channels: { memory: { pieceBytes: 1000 } } },
    [
      'Expected channels.memory.pieceBytes to be a multiple of 16 but received 1000: pieces move as whole 16-byte vectors',
      '  fix: 1008',
    ],
  ],
  [
    'too few stages',
    { ...good, channels: { memory: { stages: 1 } } },
    [
      'Expected channels.memory.stages to be at least 2 but received 1: one stage fills while another empties',
      '  fix: 8',
      'Expected channels.memory.stages to be at least ranks (8) but received 1: the pieces of one step wait on distinct stages',
      '  fix: 8',
    ],
  ],
  [
    'more stages than shared memory has room for',
    { ...good, channels: { memory: { stages: 64, pieceBytes: 7168 } } },
    [
      'Expected channels.memory.stages to be small enough for 232448 bytes of shared memory (64 stages of 7168 bytes make dispatch use 461440) but received 64: a block can have no more',
      '  fix: 32',
      'Expected channels.memory.stages to be small enough for 232448 bytes of shared memory (64 stages of 7168 bytes make combine use 459904) but received 64: a block can have no more',
      '  fix: 32',
    ],
  ],
  [
    'pieces larger than shared memory has room for',
    { ...good, hidden: 16384, channels: { memory: { pieceBytes: 32768 } } },
    [
      'Expected channels.memory.pieceBytes to be small enough for 232448 bytes of shared memory (8 stages of 32768 bytes make combine use 262400) but received 32768: a block can have no more',
      '  fix: 29024',
    ],
  ],
  [
    'an arena without room for a handle',
    { ...good, arenaBytes: 10 },
    [
      'Expected arenaBytes to be at least 132608 but received 10: the arena holds at least one handle',
      '  fix: 132608',
    ],
  ],
  ...([
    [-1, '-1', 0],
    [2.5, '2.5', 3],
    ['16', "'16'", 16],
  ].map(([maxSpillBytes, shown, fix]) => [
    `spills of ${shown}`,
    { ...good, maxSpillBytes },
    [`Expected maxSpillBytes to be 0 or a positive integer but received ${shown}`, `  fix: ${fix}`],
  ]) satisfies typeof cases),
  [
    'a name that is no identifier',
    { ...good, name: 'Foo Bar' },
    [
      "Expected name to be lower-case words and digits joined by single underscores but received 'Foo Bar'",
      "  fix: 'foo_bar'",
    ],
  ],
  [
    'a name that C++ uses',
    { ...good, name: 'int' },
    [
      "Expected name to be free for a C++ namespace but received 'int', which C++ or epgen uses",
      "  fix: 'int_exchange'",
    ],
  ],
];

describe('a spec that breaks rules', () => {
  it.each(cases)('%s', (_, input, lines) => {
    const error = errorOf(input);
    expect(error).toBeInstanceOf(EpgenSpecError);
    const count = (error as EpgenSpecError).issues.length;
    const head = `bad.spec.ts breaks ${count === 1 ? 'one rule' : `${count} rules`}:`;
    expect(error.message.split('\n')).toEqual([head, ...lines.map((line) => `  ${line}`)]);
  });

  it('has all its faults reported at once, with fixes that together make it valid', () => {
    const input = {
      ranks: 8,
      hidden: 7165,
      experts: 250,
      topk: 40,
      dtype: 'bf17',
      chanels: {},
      ht: { maxTokensPerRank: 1e9, liveResults: 9 },
    };
    const error = errorOf(input) as EpgenSpecError;
    expect([...new Set(error.issues.map((issue) => issue.path))]).toEqual([
      'dtype',
      'chanels',
      'experts',
      'topk',
      'hidden',
      'ht.maxTokensPerRank',
      'ht.liveResults',
    ]);
    const fixOf = (path: string) => Number(error.issues.find((issue) => issue.path === path)?.fix);
    const repaired = {
      ranks: 8,
      hidden: fixOf('hidden'),
      experts: fixOf('experts'),
      topk: fixOf('topk'),
      ht: { maxTokensPerRank: fixOf('ht.maxTokensPerRank'), liveResults: fixOf('ht.liveResults') },
    };
    expect(parseSpec(repaired, 'test').experts).toBe(248);
  });

  it('carries path, value and fix of each issue', () => {
    const { issues, code } = errorOf({ ...good, experts: 250 }) as EpgenSpecError;
    expect(code).toBe('EPGEN_SPEC');
    expect(issues).toEqual([
      {
        path: 'experts',
        received: 250,
        fix: '248',
        message:
          'Expected experts to be a multiple of ranks (8) but received 250: every rank owns the same number of experts',
      },
    ]);
  });
});

describe('a field of low-latency calls', () => {
  it.each<[input: object, message: string]>([
    [
      { channels: { ll: 24 } },
      "Expected channels.ll to be 'chip', its default, but received 24: the spec has no ll",
    ],
    [
      { ll: { scaleLayout: 'column' } },
      "Expected ll.scaleLayout to be 'row', its default, but received 'column': low-latency rows of bf16 have no scales",
    ],
    [
      { ll: { roundScales: true } },
      'Expected ll.roundScales to be false, its default, but received true: low-latency rows of bf16 have no scales',
    ],
    [{ ll: { inFlight: 3 } }, 'Expected ll.inFlight to be 1, 2 or 4 but received 3'],
    [
      { hidden: 2880, ll: { dtype: 'fp8_e4m3' } },
      'Expected hidden to be a multiple of 128 but received 2880: low-latency rows of fp8 have one scale per 128 elements',
    ],
    [
      { hidden: 640, ll: { dtype: 'fp8_e4m3', scaleDtype: 'ue8m0' } },
      'Expected hidden to be a multiple of 512 but received 640: every 4-byte word of packed scales is for four whole blocks',
    ],
    [
      { ll: {}, channels: { ll: 300 } },
      'Expected channels.ll to be at most 128 but received 300: all channels of a call run at once on one device',
    ],
    [
      { hidden: 8, experts: 2048, ll: { maxTokensPerRank: 131072 } },
      'Expected ll.maxTokensPerRank to be less than 131072 but received 131072: a slot names a row of any rank in 31 bits',
    ],
  ])('%j', (fields, message) => {
    const error = errorOf({ ...good, ...fields }) as EpgenSpecError;
    expect(error.issues.map((issue) => issue.message)).toEqual([message]);
  });
});

describe('a spec with calls of both kinds', () => {
  const window = (field: string, received: number) =>
    `Expected ${field} to be small enough for a window of 512 GiB but received ${received}: a ready word carries an offset in the window in 32 bits`;
  const widest = {
    ...{ hidden: 16384, combineDtype: 'f32', extraBytes: 65536, ll: { maxTokensPerRank: 4096 } },
    ht: { maxTokensPerRank: 65536, liveResults: 4 },
  };

  it.each<[what: string, input: object, message: string, fix: string]>([
    [
      'an arena without room for a low-latency handle',
      { ht: { maxTokensPerRank: 1 }, ll: { maxTokensPerRank: 2048 }, arenaBytes: 4096 },
      'Expected arenaBytes to be at least 67840 but received 4096: the arena holds at least one handle',
      '67840',
    ],
    [
      'a window mostly of low-latency calls',
      { ht: { maxTokensPerRank: 1 }, ll: { maxTokensPerRank: 24_000 } },
      window('ll.maxTokensPerRank', 24_000),
      '18721',
    ],
    [
      'a window mostly of high-throughput calls',
      widest,
      window('ht.maxTokensPerRank', 65536),
      '55140',
    ],
  ])('%s', (_, fields, message, fix) => {
    const { issues } = errorOf({ ...good, ...fields }) as EpgenSpecError;
    expect(issues.map((issue) => [issue.message, issue.fix])).toEqual([[message, fix]]);
  });

  it('has no window judged by a section that is malformed', () => {
    const input = { ...good, ht: {}, ll: { maxTokensPerRank: 24_000, inFlight: 3 } };
    const { issues } = errorOf(input) as EpgenSpecError;
    expect(issues.map(({ path }) => path)).toEqual(['ll.inFlight']);
  });
});

describe('hidden that is not whole vectors of bf16', () => {
  it.each<[hidden: number, fields: object, fix: string]>([
    [60, { ll: {} }, '64'],
    [60, { ht: false, ll: {} }, '64'],
    [4, { ht: false, ll: {} }, '8'],
    [1028, { ht: false, ll: {} }, '1032'],
  ])('%i of %j is asked to be a multiple of 8, and no more', (hidden, fields, fix) => {
    const { issues } = errorOf({ ...good, hidden, ...fields }) as EpgenSpecError;
    const message = `Expected hidden to be a multiple of 8 but received ${hidden}: rows move as whole 16-byte vectors`;
    expect(issues).toEqual([{ path: 'hidden', message, received: hidden, fix }]);
    for (const legal of [24, 40]) parseSpec({ ...good, hidden: legal, ...fields }, 'test');
  });

  it('is asked to have whole blocks of scales where low-latency rows combine as fp8', () => {
    const input = { ...good, hidden: 200, ht: false, ll: { combineDtype: 'fp8_e4m3' } };
    const { issues } = errorOf(input) as EpgenSpecError;
    expect(issues.map(({ message, fix }) => [message.split(' but ')[0], fix])).toEqual([
      ['Expected hidden to be a multiple of 128', '256'],
    ]);
  });
});

describe('a spec without high-throughput calls', () => {
  const idle = (field: string, usual: string, received: string) =>
    `Expected ${field} to be ${usual}, its default, but received ${received}: the spec has no ht`;

  it.each<[input: object, messages: readonly string[]]>([
    [
      { ll: false },
      [
        'Expected ll to be an object where ht is false but received false: a spec has high-throughput calls, low-latency calls or both',
      ],
    ],
    [
      { dtype: 'fp8_e4m3', scaleDtype: 'ue8m0' },
      [idle('dtype', "'bf16'", "'fp8_e4m3'"), idle('scaleDtype', "'f32'", "'ue8m0'")],
    ],
    [{ combineDtype: 'f32' }, [idle('combineDtype', "'bf16'", "'f32'")]],
    [{ extraBytes: 16 }, [idle('extraBytes', '0', '16')]],
    [
      { channels: { memory: { count: 4, pieceBytes: 64, placement: 'slotted' } } },
      [
        idle('channels.memory.count', '16', '4'),
        idle('channels.memory.pieceBytes', "'auto'", '64'),
        idle('channels.memory.placement', "'compact'", "'slotted'"),
      ],
    ],
    [
      { arenaBytes: 1024 },
      [
        'Expected arenaBytes to be at least 6400 but received 1024: the arena holds at least one handle',
      ],
    ],
    [
      { hidden: 16384, experts: 2048, ll: { maxTokensPerRank: 1024, inFlight: 4 } },
      [
        'Expected ll.maxTokensPerRank to be small enough for a window of 512 GiB but received 1024: a ready word carries an offset in the window in 32 bits',
      ],
    ],
  ])('%j', (fields, messages) => {
    const error = errorOf({ ...good, ht: false, ll: {}, ...fields }) as EpgenSpecError;
    expect(error.issues.map((issue) => issue.message)).toEqual(messages);
    const fixes = error.issues.map(({ path, fix }) => [path, fix]);
    expect(fixes.every(([, fix]) => fix !== undefined)).toBe(true);
  });
});

describe('a valid spec that this version does not build', () => {
  it.each<[input: object, line: string]>([
    [{ ranks: 16 }, 'ranks 16: this version builds at most ranksPerNode, on one node'],
    [
      { channels: { port: {} } },
      'channels.port {"perPeer":8,"queuePairs":1,"fifo":512}: this version builds false',
    ],
  ])('%j', (fields, line) => {
    const error = errorOf({ ...good, ...fields });
    expect(error).toBeInstanceOf(EpgenUnsupportedError);
    expect(error.message).toBe(
      `bad.spec.ts is valid but asks for what this version does not build:\n  ${line}`,
    );
  });

  it('has its broken rules reported first', () => {
    expect(errorOf({ ...good, experts: 250, channels: { port: {} } })).toBeInstanceOf(
      EpgenSpecError,
    );
  });
});
