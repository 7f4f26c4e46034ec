// Stands in for test/support/built.ts in the packed folder: finds what was built when the folder was packed.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseSpec, type SpecInput } from '../../../generator/spec.js';
import type { Group, OpenGroupOptions } from '../../../native/index.js';
import type { HighThroughputSizes, HighThroughputSpec } from '../../../native/spec-types.js';
import type { Built } from '../../support/built.js';
import { type AddonBackend, host, Skip } from './host.js';
import { markOnGpu } from './tree.js';

/** What a spec has to be packed with. */
export interface Needs {
  /** Default: the backend that the folder was packed for. */
  readonly backends?: readonly AddonBackend[];
  /** Also an addon for this architecture, in `addon-<arch>/cuda.node`. */
  readonly otherArch?: string;
  /** Gives the spec although this machine has fewer devices than it has ranks. */
  readonly evenWithTooFewDevices?: boolean;
}

export interface Collected extends Needs {
  readonly input: SpecInput;
}

const collected: Collected[] = [];

/** What the tests asked for while the host was in `collect` mode. */
export function collectedSpecs(): readonly Collected[] {
  return collected;
}

/** The packed folder's build of `input`. Skips the test, or the suite whose hook asks, when it cannot run here. */
export async function buildSpec(input: SpecInput, needs: Needs = {}): Promise<Built> {
  const { mode, dir: packed, backend, numDevices, sharesDevices, ranks } = host();
  if (mode === 'collect') {
    collected.push({ input, ...needs });
    throw new Skip('collecting');
  }
  const { name, ranks: numRanks } = parseSpec(input, 'test');
  const isAnyAllowed = needs.evenWithTooFewDevices === true;
  if (!isAnyAllowed && ranks !== undefined && !ranks.includes(numRanks)) {
    throw new Skip(`${numRanks} ranks: --ranks is ${ranks.join(',')}`);
  }
  if (backend === 'cuda') {
    if (!isAnyAllowed && numRanks > numDevices && !sharesDevices) {
      throw new Skip(`${numRanks} ranks: this machine has ${numDevices} GPUs`);
    }
    if (numDevices > 0) markOnGpu();
  }
  const dir = join(packed, 'generated', name);
  const addonPath = join(dir, 'addon', `${backend}.node`);
  if (!existsSync(addonPath)) throw new Error(`${name} was not packed for ${backend}`);
  const generated = (await import(pathToFileURL(join(dir, 'index.js')).href)) as {
    spec: HighThroughputSpec;
    sizes: HighThroughputSizes;
    openGroup: (options?: OpenGroupOptions) => Promise<Group>;
  };
  return {
    spec: generated.spec,
    sizes: generated.sizes,
    dir,
    addonPath,
    open: async (options) => {
      const devices = isAnyAllowed ? {} : sharedDevices(numRanks);
      try {
        return await generated.openGroup({ backend, ...devices, ...options });
      } catch (error) {
        const isFull =
          error instanceof Error && /^cudaMalloc of .* out of memory/.test(error.message);
        // Each rank alone might have had its device's memory.
        if ('devices' in devices && isFull) throw new Skip(error.message);
        throw error;
      }
    },
    compile: () => Promise.reject(new Error('nothing is compiled in a packed folder')),
  };
}

/** Ranks dealt out over the GPUs, where there are more of them and that is wanted. */
function sharedDevices(numRanks: number): OpenGroupOptions {
  const { backend, numDevices, sharesDevices } = host();
  if (backend !== 'cuda' || !sharesDevices || numRanks <= numDevices) return {};
  return { devices: Array.from({ length: numRanks }, (_, rank) => rank % numDevices) };
}
