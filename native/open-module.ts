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
  const { addon, reason } = chooseBackend(description, checked);
  const { seed, deadlineMs, firstDeadlineMs, devices, windows } = checked;
  try {
    const raw = addon.openGroup({ seed, deadlineMs, firstDeadlineMs, devices, windows });
    const state = new GroupState(description, raw, {
      backend: addon.backend,
      numWindows: windows,
    });
    return createGroup<S>({ state, devices, backendReason: reason });
  } catch (error) {
    throw errorFromRaw(error, dimensionsOf(description));
  }
}
