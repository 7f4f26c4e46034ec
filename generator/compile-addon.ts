import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { type AddonRecord, addonPath, sha256 } from './build-record.js';
import type { BuildTarget } from './build-target.js';
import {
  type BuildProgress,
  buildTarget,
  buildTreeFor,
  objectFolder,
  prepareTarget,
  withTreeLock,
} from './build-tree.js';
import type { FileSet } from './file-set.js';
import { isSource } from './input-hash.js';
import type { NewFile } from './install-file.js';
import { kernelNames } from './kernels.js';
import { derivePlan } from './plan.js';
import { readPtxasReport, requireFewSpills } from './ptxas-report.js';
import { smokeLoad } from './smoke-load.js';
import { type Spec, specHash } from './spec.js';
import { stageSources } from './staging.js';
import type { Toolchain } from './toolchain.js';

/** What a build makes for one backend. */
export interface Part {
  readonly target: BuildTarget;
  /** Undefined without a compiler. */
  readonly compiler: string | undefined;
  readonly inputHash: string | undefined;
}

/** The addon of one backend, made or found. */
export interface MadeAddon {
  readonly backend: BuildTarget['backend'];
  readonly record: AddonRecord;
  readonly upToDate: boolean;
  readonly seconds: number;
  /** What is still to be put in place. */
  readonly files: readonly NewFile[];
}

interface CompileInput {
  readonly generatedDir: string;
  readonly spec: Spec;
  /** The generated text. */
  readonly texts: FileSet;
  /** Of the target in its build tree. */
  readonly name: string;
  readonly toolchain: Toolchain;
  onProgress(progress: BuildProgress, backend: BuildTarget['backend']): void;
}

/** Compiles an addon from a copy of the sources and loads it once; the generated folder is only named. */
export async function compileAddon(
  { target, compiler = '', inputHash = '' }: Part,
  { generatedDir, spec, texts, name, toolchain, onProgress }: CompileInput,
): Promise<MadeAddon> {
  const start = performance.now();
  const { backend } = target;
  const say = (progress: BuildProgress) => onProgress(progress, backend);
  const tree = buildTreeFor(generatedDir, target, compiler, toolchain);
  const sources = new Map([...texts].filter(([file]) => isSource(file)));
  return withTreeLock(tree, say, async (lost) => {
    const dir = await stageSources(tree, { generatedDir, target: name, sources });
    await prepareTarget(tree, { name, dir }, toolchain, say);
    const built = await buildTarget(tree, name, toolchain, say, lost);
    const machineCode = await machineCodeOf(target, spec, objectFolder(tree, name));
    say({ step: 'load', text: `load ${basename(built)} in a child process` });
    await smokeLoad(built, spec);
    const record = {
      specHash: specHash(spec),
      inputHash,
      compiler,
      addonBytes: (await stat(built)).size,
      addonHash: sha256(await readFile(built)),
      ...machineCode,
    };
    const files = [{ path: addonPath(generatedDir, backend), from: built }];
    const seconds = (performance.now() - start) / 1000;
    return { backend, record, upToDate: false, seconds, files };
  });
}

/** What is known of kernels that were compiled for a GPU. */
async function machineCodeOf(
  target: BuildTarget,
  spec: Spec,
  objects: string,
): Promise<Pick<AddonRecord, 'arch' | 'kernels'>> {
  if (target.backend === 'cpu') return {};
  const kernels = await readPtxasReport(objects, kernelNames(derivePlan(spec)));
  requireFewSpills(kernels, spec.maxSpillBytes);
  return { arch: target.arch, kernels };
}
