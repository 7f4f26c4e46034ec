import type { Command } from 'commander';
import { didYouMean } from '../../generator/did-you-mean.js';
import { EpgenError } from '../../generator/errors.js';
import type { Context } from '../main.js';
import { selectSpecs } from '../select-specs.js';
import { addSpecOptions, type SpecFlagValues } from '../spec-flags.js';
import { parseBudget } from '../verify/budget.js';
import { POLICIES, type PolicyName } from '../verify/run-verifier.js';
import { type SeedOptions, seedRange, wholeNumber } from '../verify/seed-range.js';
import { type Result, type Settings, verifySpec } from '../verify/verify-spec.js';

interface VerifyOptions extends SpecFlagValues, SeedOptions {
  readonly policy: string;
  readonly calls: string;
  readonly out: string;
}

const DEFAULT_BUDGET_SECONDS = 20;

export function define(command: Command, { output, finish, onInterrupt }: Context): void {
  command.argument('[specs...]', 'spec files, or names in specs/ (default: all of specs/)');
  addSpecOptions(command);
  command
    .option('--seeds <n>', 'schedules to run, one a seed (default: 1000)')
    .option('--seed <n>', 'first seed (default: 1); without --seeds this schedule alone')
    .option('--policy <name>', `in which order threads run: ${POLICIES.join(', ')}`, 'mixed')
    .option('--budget <time>', 'when to stop, such as 500ms, 60s or 5m (default: 20s)')
    .option('--calls <n>', 'dispatches and combines of a schedule', '6')
    .option('--out <dir>', 'folder for the diagram and the trace of a finding', '.')
    .option('--json', 'print the result as one JSON record')
    .action(async (names: string[], options: VerifyOptions) => {
      const isClean = await verify(names, options, { output, onInterrupt });
      finish(isClean ? 'ok' : 'check-failed');
    });
}

async function verify(
  names: readonly string[],
  { out, seeds, seed, budget, policy, calls, ...flags }: VerifyOptions,
  surroundings: Pick<Context, 'output' | 'onInterrupt'>,
): Promise<boolean> {
  const settings: Settings = {
    seeds: seedRange({ seeds, seed, budget }),
    policy: checkPolicy(policy),
    calls: wholeNumber('--calls', calls, 1),
    timeLimit: timeLimit({ seeds, seed, budget }),
    out,
  };
  const results: Result[] = [];
  for (const selected of await selectSpecs(names, flags)) {
    const result = await verifySpec(selected, settings, surroundings);
    results.push(result);
    if (result.interrupted) break;
  }
  const isClean = results.every(({ findings }) => findings.length === 0);
  surroundings.output.record({ event: 'verified', ok: isClean, specs: results });
  return isClean;
}

/** What was asked for alone holds; the other default does not cut it short. */
function timeLimit({ seeds, seed, budget }: SeedOptions): number | undefined {
  if (budget !== undefined) return parseBudget(budget);
  return seeds === undefined && seed === undefined ? DEFAULT_BUDGET_SECONDS : undefined;
}

function checkPolicy(name: string): PolicyName {
  const policy = POLICIES.find((one) => one === name);
  if (policy) return policy;
  const slip = didYouMean(name, POLICIES);
  throw new EpgenError(
    `Expected --policy to be one of ${POLICIES.join(', ')} but received ${name}`,
    { code: 'EPGEN_ARGUMENT', ...(slip === undefined ? {} : { hint: `Did you mean ${slip}?` }) },
  );
}
