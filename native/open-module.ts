import { loadAddon } from './addon-loader.js';
import { chooseBackend } from './backend.js';
import { dimensionsOf } from './dimensions.js';
import { createGroup, type Group } from './group.js';
import { GroupState } from './group-state.js';
import { checkOptions, type OpenGroupOptions } from './options.js';
import { errorFromRaw } from './raw-errors.js';
import type { ModuleDescription, Spec } from './spec-types.js';

/** What a generated module's `openGroup` does: finds its addon, loads it, and opens its ranks in this process. */
export async function openModule<const S extends Spec>(
  description: ModuleDescription<S>,
  options: OpenGroupOptions = {},
): Promise<Group<S>> {
  const checked = checkOptions(options, description);
  const { backend, reason } = chooseBackend(description, checked);
  const addon = loadAddon(description, backend, checked.addonDir);
  const { seed, deadlineMs, firstDeadlineMs } = checked;
  try {
    const raw = addon.openGroup({ seed, deadlineMs, firstDeadlineMs });
    const state = new GroupState(description, raw, backend);
    return createGroup<S>({ state, devices: checked.devices, backendReason: reason });
  } catch (error) {
    throw errorFromRaw(error, dimensionsOf(description));
  }
}
