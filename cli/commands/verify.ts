import type { Command } from 'commander';
import { didYouMean } from '../../generator/did-you-mean.js';
import { EpgenError } from '../../generator/errors.js';
import type { Context } from '../main.js';
import { type SelectedSpec, selectSpecs } from '../select-specs.js';
import { addSpecOptions, type SpecFlagValues } from '../spec-flags.js';
import { parseBudget } from '../verify/budget.js';
import { checkExplorable } from '../verify/explorable.js';
import { type ExploreSettings, exploredLines, exploreSpec } from '../verify/explore-spec.js';
import type { Surroundings } from '../verify/run-spec.js';
import { POLICIES, type PolicyName } from '../verify/run-verifier.js';
import { seedRange, wholeNumber } from '../verify/seed-range.js';
import { type Result, summaryLines, verifySpec } from '../verify/verify-spec.js';

interface VerifyOptions extends SpecFlagValues {
  readonly seeds?: string;
  readonly seed?: string;
  readonly budget?: string;
  readonly explore?: boolean;
  readonly policy?: string;
  readonly calls?: string;
  readonly tokens?: string;
  readonly out: string;
}

const DEFAULT_BUDGET_SECONDS = 20;

/** Sequences that are tried in every order are few and short: a call more takes many times as long. */
const DEFAULTS = {
  verify: { seeds: 1000, calls: 6 },
  explore: { seeds: 100, calls: 2 },
} as const;

export function define(command: Command, { output, finish, onInterrupt }: Context): void {
  command.argument('[specs...]', 'spec files, or names in specs/ (default: all of specs/)');
  addSpecOptions(command);
  command
    .option('--seeds <n>', 'schedules to run, one a seed (default: 1000)')
    .option('--seed <n>', 'first seed (default: 1); without --seeds this schedule alone')
    .option(
      '--policy <name>',
      `in which order threads run: ${POLICIES.join(', ')} (default: mixed)`,
    )
    .option('--budget <time>', 'when to stop, such as 500ms, 60s or 5m (default: 20s a spec)')
    .option('--calls <n>', 'dispatches and combines of a schedule (default: 6)')
    .option(
      '--tokens <n>',
      "most tokens of a rank's dispatch (default: few enough for the size of a row)",
    )
    .option(
      '--explore',
      'try every order of --seeds sequences (default: 100) of --calls calls (default: 2); for small specs',
    )
    .option('--out <dir>', 'folder for the diagram and the trace of a finding', '.')
    .option('--json', 'print the result as one JSON record')
    .action(async (names: string[], options: VerifyOptions) => {
      const isClean = await verify(names, options, { output, onInterrupt });
      finish(isClean ? 'ok' : 'check-failed');
    });
}

async function verify(
  names: readonly string[],
  { out, seeds, seed, budget, explore = false, policy, calls, tokens, ...flags }: VerifyOptions,
  surroundings: Surroundings,
): Promise<boolean> {
  const defaults = DEFAULTS[explore ? 'explore' : 'verify'];
  const settings: ExploreSettings = {
    // How many sequences is always said: a budget alone would never have finished.
    seeds: seedRange({
      seeds,
      seed,
      budget: explore ? undefined : budget,
      defaultSeeds: defaults.seeds,
    }),
    calls: calls === undefined ? defaults.calls : wholeNumber('--calls', calls, 1),
    timeLimit: timeLimit({ seeds, seed, budget }),
    out,
  };
  if (explore) refuseWithExplore({ policy, tokens });
  const specs = await selectSpecs(names, flags);
  if (explore) {
    for (const { spec } of specs) checkExplorable(spec);
    return runAll(specs, surroundings, {
      event: 'explored',
      run: (selected) => exploreSpec(selected, settings, surroundings),
      lines: exploredLines,
    });
  }
  const order = checkPolicy(policy ?? 'mixed');
  const maxTokens = tokens === undefined ? undefined : wholeNumber('--tokens', tokens, 1);
  return runAll(specs, surroundings, {
    event: 'verified',
    run: (selected) =>
      verifySpec(selected, { ...settings, policy: order, tokens: maxTokens }, surroundings),
    lines: summaryLines,
  });
}

/** One spec after the other; of several, a table in the end. Returns whether nothing was found. */
async function runAll<R extends Pick<Result, 'interrupted' | 'findings'>>(
  specs: readonly SelectedSpec[],
  { output }: Surroundings,
  {
    event,
    run,
    lines,
  }: {
    readonly event: string;
    readonly run: (selected: SelectedSpec) => Promise<R>;
    readonly lines: (results: readonly R[]) => readonly string[];
  },
): Promise<boolean> {
  const results: R[] = [];
  for (const selected of specs) {
    const result = await run(selected);
    results.push(result);
    if (result.interrupted) break;
  }
  if (specs.length > 1) for (const line of ['', ...lines(results)]) output.line(line);
  const isClean = results.every(({ findings }) => findings.length === 0);
  output.record({ event, ok: isClean, specs: results });
  return isClean;
}

/** What was asked for alone holds; the other default does not cut it short. */
function timeLimit({
  seeds,
  seed,
  budget,
}: Pick<VerifyOptions, 'seeds' | 'seed' | 'budget'>): number | undefined {
  if (budget !== undefined) return parseBudget(budget);
  return seeds === undefined && seed === undefined ? DEFAULT_BUDGET_SECONDS : undefined;
}

/** Exploration tries all orders, of few tokens. */
function refuseWithExplore(options: Pick<VerifyOptions, 'policy' | 'tokens'>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    throw new EpgenError(
      `Expected no --${name} with --explore, which tries all orders of two tokens a rank, but received ${value}`,
      { code: 'EPGEN_ARGUMENT' },
    );
  }
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
