import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EpgenError } from './errors.js';

/** What ptxas says of one kernel. */
export interface KernelResources {
  readonly name: string;
  readonly registers: number;
  /** Shared memory that the machine code itself reserves; a launch asks for the rest. */
  readonly staticSharedBytes: number;
  readonly stackBytes: number;
  readonly spillStoreBytes: number;
  readonly spillLoadBytes: number;
}

/**
 * Reads what the compiler said of `kernels` when it made the objects below `folder`.
 * @throws EpgenError EPGEN_COMPILE for a kernel that it says nothing of, or launch bounds that ptxas ignored.
 */
export async function readPtxasReport(
  folder: string,
  kernels: readonly string[],
): Promise<readonly KernelResources[]> {
  const names = await readdir(folder, { recursive: true });
  const logs = names.filter((name) => name.endsWith('.cu.o.log')).sort();
  const texts = await Promise.all(logs.map((name) => readFile(join(folder, name), 'utf8')));
  const text = texts.join('\n');
  const ignored = text.split('\n').find((line) => line.includes('C7508'));
  if (ignored) {
    throw new EpgenError(`ptxas ignored the launch bounds of a kernel: ${ignored.trim()}`, {
      code: 'EPGEN_COMPILE',
    });
  }
  const all = parsePtxasReport(text);
  return kernels.map((name) => requireKernel(all, name));
}

/**
 * The spec's maxSpillBytes, said of what was compiled.
 * @throws EpgenError EPGEN_COMPILE that names every kernel with more, and the value that would pass
 */
export function requireFewSpills(kernels: readonly KernelResources[], maxSpillBytes: number): void {
  const spilling = kernels.filter((one) => spillBytes(one) > maxSpillBytes);
  if (spilling.length === 0) return;
  const lines = spilling.map((one) => {
    const { name, registers, spillStoreBytes, spillLoadBytes } = one;
    const parts = `${spillStoreBytes} stored and ${spillLoadBytes} loaded`;
    return `  ${name}: ${spillBytes(one)} bytes (${parts}), with ${registers} registers`;
  });
  const needed = Math.max(...spilling.map(spillBytes));
  throw new EpgenError(
    `Expected each kernel to spill at most maxSpillBytes (${maxSpillBytes}) bytes of registers but found:\n${lines.join('\n')}`,
    {
      code: 'EPGEN_COMPILE',
      hint: `Spills cost time and no correctness: \`maxSpillBytes: ${needed}\` in the spec allows these.`,
    },
  );
}

/** What a kernel moves between registers and memory because it has too few of them. */
export function spillBytes({ spillStoreBytes, spillLoadBytes }: KernelResources): number {
  return spillStoreBytes + spillLoadBytes;
}

/** The kernels in the output of `ptxas -v`; what the functions that they call spill counts as theirs. */
export function parsePtxasReport(text: string): readonly KernelResources[] {
  return text
    .split(/^ptxas info\s*: Compiling entry function /m)
    .slice(1)
    .map((part) => {
      const used = /Used (\d+) registers(?:.*?, (\d+) bytes smem)?/.exec(part);
      const frames = [
        ...part.matchAll(
          /(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/g,
        ),
      ];
      const total = (group: number) =>
        frames.reduce((sum, frame) => sum + Number(frame[group] ?? 0), 0);
      return {
        name: lastIdentifier(/^'(\w+)'/.exec(part)?.[1] ?? '').replace(/_kernel$/, ''),
        registers: Number(used?.[1] ?? 0),
        staticSharedBytes: Number(used?.[2] ?? 0),
        stackBytes: Number(frames[0]?.[1] ?? 0),
        spillStoreBytes: total(2),
        spillLoadBytes: total(3),
      };
    });
}

function requireKernel(kernels: readonly KernelResources[], name: string): KernelResources {
  const kernel = kernels.find((one) => one.name === name);
  if (kernel && kernel.registers > 0) return kernel;
  throw new EpgenError(`Expected ptxas to tell of the kernel ${name} but it did not`, {
    code: 'EPGEN_COMPILE',
  });
}

/** `dispatch_kernel` of `_ZN5epgen12ep2_h64_bf1615dispatch_kernelENS0_12DispatchArgsE`. */
function lastIdentifier(mangled: string): string {
  let rest = /^_ZN?(.*)$/.exec(mangled)?.[1] ?? '';
  let last = mangled;
  for (let match = /^\d+/.exec(rest); match; match = /^\d+/.exec(rest)) {
    const end = match[0].length + Number(match[0]);
    last = rest.slice(match[0].length, end);
    rest = rest.slice(end);
  }
  return last;
}
