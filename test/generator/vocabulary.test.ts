import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { generate } from '../../generator/generate.js';
import { parseSpec, type SpecInput } from '../../generator/spec.js';

// What kernels may call: the primitives of native/device, and what they define themselves.

const deviceDir = join(import.meta.dirname, '../../native/device');
const headers = readdirSync(deviceDir)
  .filter((name) => name.endsWith('.cuh'))
  .map((name) => readFileSync(join(deviceDir, name), 'utf8'))
  .concat(readFileSync(join(deviceDir, 'cuda/wait.cuh'), 'utf8'));

const plain: SpecInput = { ranks: 8, hidden: 7168 };

/** Specs whose kernels have between them all that a spec can ask for. */
const specs: Readonly<Record<string, SpecInput>> = {
  plain,
  'all options': {
    ...plain,
    ...{ dtype: 'fp8_e4m3', extraBytes: 8, topkIdx: 'i32' },
    ht: {
      ...{ credit: true, withoutTopk: true, cached: true, worstTokens: true },
      ...{ combineWeights: true, biases: 2, expertMajor: true },
    },
  },
  'slotted, scales in columns, f32 sums': {
    ...plain,
    ...{ dtype: 'fp8_e4m3', scaleLayout: 'column', combineDtype: 'f32' },
    channels: { memory: { placement: 'slotted' } },
  },
};

const kernels = Object.entries(specs).flatMap(([of, input]) =>
  [...generate(parseSpec(input, 'test'))]
    .filter(([name]) => name.endsWith('.cu'))
    .map(([name, text]): [string, string] => [`${name}, ${of}`, text]),
);

const cppWords = [
  'if',
  'for',
  'while',
  'return',
  'switch',
  'sizeof',
  'static_assert',
  'decltype',
  'EPGEN_FIELD',
];

function withoutComments(text: string): string {
  return text.replace(/\/\/.*$/gm, '');
}

/** Functions, methods and constructors that a text declares. */
function declared(text: string): string[] {
  const functions = text.matchAll(/EPGEN_(?:HOST_)?DEVICE [^;{]*?(\w+)\(/g);
  const types = text.matchAll(/\b(?:struct|using|class) (?:alignas\(\d+\) )?(\w+)/g);
  return [...functions, ...types].map((match) => match[1]!);
}

/** Names that are called; `static_cast<int>(x)` and braces are none. */
function called(text: string): Set<string> {
  return new Set(
    [...withoutComments(text).matchAll(/\b([A-Za-z_]\w*)(?:<[\w:, ]*>)?\(/g)].map(
      (match) => match[1]!,
    ),
  );
}

/** Loops with their heads and bodies. */
function loops(text: string): { head: string; body: string }[] {
  return [...withoutComments(text).matchAll(/\b(for|while) \(/g)].map((match) => {
    const headEnd = closing(text, match.index + match[0].length - 1, '(', ')');
    const bodyStart = headEnd + text.slice(headEnd).search(/[^\s)]/);
    const bodyEnd =
      text[bodyStart] === '{' ? closing(text, bodyStart, '{', '}') : text.indexOf(';', bodyStart);
    return { head: text.slice(match.index, headEnd + 1), body: text.slice(bodyStart, bodyEnd + 1) };
  });
}

function closing(text: string, start: number, open: string, close: string): number {
  let depth = 0;
  for (let i = start; i < text.length; i++) {
    if (text[i] === open) depth += 1;
    if (text[i] === close) depth -= 1;
    if (depth === 0) return i;
  }
  throw new Error(`no ${close} for the ${open} at ${start}`);
}

/** Names outside the vocabulary that a kernel calls. */
function strangers(text: string): string[] {
  const allowed = new Set([
    ...cppWords,
    ...headers.flatMap(declared),
    ...declared(text),
    'EPGEN_KERNEL',
  ]);
  const casts = /^(?:static_cast|reinterpret_cast|uint64_t|uint32_t|int64_t)$/;
  // Constructors and objects of the kernel's own types, and constructor initialisers of their members.
  const members = [...text.matchAll(/^ {4}[\w<>:]+ (\w+)(?: = [^;]+)?;$/gm)].map(
    (match) => match[1]!,
  );
  const objects = [...text.matchAll(/\b[A-Z]\w+ (\w+)\(/g)].map((match) => match[1]!);
  return [...called(text)].filter(
    (name) => !allowed.has(name) && !casts.test(name) && ![...members, ...objects].includes(name),
  );
}

/** Loops that could poll: they load, and nothing in their head counts. */
function pollingLoops(text: string): string[] {
  return loops(withoutComments(text))
    .filter(
      ({ head, body }) =>
        /\bld(?:_\w+)?\(/.test(head + body) && !/^for \(.*(?:\+\+|\+=)[^;]*\)$/s.test(head),
    )
    .map(({ head }) => head);
}

const rawPointer = /\.raw\b|->\s*raw\b/;

describe.each(kernels)('%s', (_, text) => {
  test('calls only the device vocabulary', () => {
    expect(strangers(text)).toEqual([]);
  });
  test('has no inline assembly, CUDA built-in or volatile access', () => {
    expect(withoutComments(text)).not.toMatch(
      /\basm\b|\b__\w+|\bvolatile\b|\b(?:thread|block)Idx\b|\b(?:block|grid)Dim\b/,
    );
  });
  test('follows no raw pointer: the verifier does not see plain copies of memory', () => {
    expect(withoutComments(text)).not.toMatch(rawPointer);
  });
  test('has no loop that polls memory: only waits do', () => {
    expect(loops(text).length).toBeGreaterThan(1);
    expect(pollingLoops(text)).toEqual([]);
  });
});

describe('the checks find what they are for', () => {
  const [, dispatch] = kernels.find(([name]) => name === 'dispatch.cu, plain')!;
  const plant = (line: string) =>
    dispatch.replace('    const uint32_t num_channels = num_block_channels', `    ${line}\n$&`);

  test.each([
    '__threadfence_system();',
    'atomicAdd(args.handle, 1);',
    'cudaDeviceSynchronize();',
    'memcpy(to, from, 64);',
    'std::memset(to, 0, 64);',
    '__builtin_memmove(to, from, 64);',
  ])('%s', (line) => {
    expect(strangers(plant(line))).toHaveLength(1);
  });
  test('*reinterpret_cast<Row*>(to.raw) = *reinterpret_cast<Row*>(from.raw);', () => {
    expect(dispatch).not.toMatch(rawPointer);
    expect(plant('*reinterpret_cast<Row*>(to.raw) = *from;')).toMatch(rawPointer);
  });
  test.each([
    'while (ld(EPGEN_FIELD(control, abort)) == 0) {}',
    'for (;;) { if (ld(EPGEN_FIELD(control, abort)) != 0) break; }',
  ])('%s', (line) => {
    expect(pollingLoops(plant(line))).toHaveLength(1);
  });
});
