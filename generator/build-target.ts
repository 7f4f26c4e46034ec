import { EpgenError } from './errors.js';

/** What an addon is compiled for. */
export type BuildTarget =
  | { readonly backend: 'cpu' }
  | { readonly backend: 'cuda'; readonly arch: string };

/** What a build tree makes: addons of one kind, or verifiers. */
export type TreeTarget = BuildTarget | { readonly backend: 'verify' };

/** The architecture that `build --backend cuda` takes by default: H100 and H200. */
export const DEFAULT_ARCH = 'sm_90a';

/** The first architecture with bulk copies and barriers in shared memory. */
const FIRST_ARCH = 90;

/** @throws EpgenError EPGEN_ARGUMENT for what kernels cannot be compiled for. */
export function checkArch(arch: string): string {
  const match = /^sm_(\d{2,3})[af]?$/.exec(arch);
  if (match && Number(match[1]) >= FIRST_ARCH) return arch;
  throw new EpgenError(
    `Expected --arch to be sm_${FIRST_ARCH} or a later one, such as ${DEFAULT_ARCH} or sm_100a, but received ${arch}`,
    { code: 'EPGEN_ARGUMENT' },
  );
}
