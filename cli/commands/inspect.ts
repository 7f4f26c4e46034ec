import type { Command } from 'commander';
import { type Explanation, explainPlan } from '../../generator/explain.js';
import { humanBytes } from '../../generator/human-bytes.js';
import { type Layout, layoutFromPlan } from '../../generator/layout.js';
import { type OptionCost, optionCosts } from '../../generator/option-costs.js';
import { type Plan, planFromSpec } from '../../generator/plan.js';
import type { Spec } from '../../generator/spec.js';
import { wrapText } from '../../generator/wrap-text.js';
import { explanationLines } from '../inspect/explanation-lines.js';
import { optionLines } from '../inspect/option-lines.js';
import type { Context } from '../main.js';
import type { Output } from '../output.js';
import { selectSpecs } from '../select-specs.js';
import { addSpecOptions, type SpecFlagValues } from '../spec-flags.js';
import { grouped, tableLines } from '../table.js';

const COLUMNS = 80;

const isOn = (cost: OptionCost) => cost.isOn;

export function define(command: Command, { output }: Context): void {
  command.argument('[specs...]', 'spec files, or names in specs/ (default: all of specs/)');
  addSpecOptions(command);
  command
    .option('--why', 'print how each number of the plan follows from others, and what limits it')
    .option('--json', 'print one JSON record a spec')
    .action(async (names: string[], options: InspectOptions) => {
      for (const { spec } of await selectSpecs(names, options)) {
        const plan = planFromSpec(spec);
        const layout = layoutFromPlan(plan);
        const why = options.why ? explainPlan({ spec, plan }) : undefined;
        output.record({
          event: 'inspected',
          name: spec.name,
          spec,
          plan,
          regions: layout.regions,
          ...channelsOf(plan),
          options: optionCosts(spec),
          why,
        });
        print(spec, why ? whySections(why) : sections(spec, plan, layout), output);
      }
    });
}

interface InspectOptions extends SpecFlagValues {
  readonly why?: boolean;
}

type Section = readonly [title: string, lines: readonly string[]];

function sections(spec: Spec, plan: Plan, layout: Layout): readonly Section[] {
  const costs = optionCosts(spec);
  return [
    ['plan', planLines(plan)],
    [`window, ${humanBytes(plan.windowBytes)} a rank`, regionLines(layout)],
    ['options: what each adds to the same spec without it', optionLines(costs.filter(isOn))],
    ['options not asked for: what each would add', optionLines(costs.filter((one) => !isOn(one)))],
    ...channelSections(plan),
    ['reuse: why a region may be written again', reuseLines(plan)],
  ];
}

function whySections(why: readonly Explanation[]): readonly Section[] {
  const groups = [...new Set(why.map(({ group }) => group))];
  return groups.map((name) => {
    const own = why.filter(({ group }) => group === name);
    return [`why: ${name}`, explanationLines(own, COLUMNS - 2)];
  });
}

function print({ name }: Spec, sections: readonly Section[], output: Output): void {
  output.line(name);
  for (const [title, lines] of sections) {
    if (lines.length === 0) continue;
    output.line();
    output.line(title);
    for (const line of lines) output.line(`  ${line}`);
  }
  output.line();
}

/** Every number of the plan, `group.name` for those of one kernel. */
function planLines(plan: Plan): string[] {
  const rows: [string, string][] = [];
  const add = (prefix: string, value: object) => {
    for (const [key, entry] of Object.entries(value)) {
      if (Array.isArray(entry)) continue;
      if (typeof entry === 'object' && entry !== null) add(`${prefix}${key}.`, entry);
      else rows.push([prefix + key, typeof entry === 'number' ? grouped(entry) : String(entry)]);
    }
  };
  add('', plan);
  return tableLines([{ title: 'name' }, { title: 'value', align: 'right' }], rows);
}

function regionLines({ regions }: Layout): string[] {
  const right = { align: 'right' as const };
  const columns = [
    { title: 'region' },
    { title: 'offset', ...right },
    { title: 'bytes', ...right },
    { title: 'buffers', ...right },
    { title: 'stride', ...right },
  ];
  const rows = regions.map((one) => [one.name, one.offset, one.bytes, one.numBuffers, one.stride]);
  return tableLines(columns, rows);
}

interface ChannelRange {
  readonly channel: number;
  readonly begin: number;
  readonly end: number;
}

/** For each kind of calls that the spec has. */
function channelsOf(plan: Plan) {
  const { maxTokensPerRank, numChannels, maxLlTokensPerRank, numLlChannels } = plan;
  return {
    channels: channelRanges(maxTokensPerRank, numChannels),
    llChannels: channelRanges(maxLlTokensPerRank, numLlChannels),
  };
}

function channelSections(plan: Plan): readonly Section[] {
  const { channels, llChannels } = channelsOf(plan);
  const title = (call: string, tokens = 0) =>
    `channels of a ${call} with ${grouped(tokens)} tokens a rank`;
  return [
    [title('call', plan.maxTokensPerRank), channelLines(channels)],
    [title('low-latency call', plan.maxLlTokensPerRank), channelLines(llChannels)],
  ];
}

/** Tokens that each channel carries of the largest call: [begin, end). */
function channelRanges(tokens = 0, numChannels = 0): readonly ChannelRange[] {
  const share = Math.ceil(tokens / numChannels);
  return Array.from({ length: numChannels }, (_, channel) => ({
    channel,
    begin: Math.min(tokens, channel * share),
    end: Math.min(tokens, (channel + 1) * share),
  }));
}

/** A line for channels in a row that carry as many tokens each. */
function channelLines(ranges: readonly ChannelRange[]): string[] {
  if (ranges.length === 0) return [];
  const right = { align: 'right' as const };
  const columns = [
    { title: 'channels', ...right },
    { title: 'first token', ...right },
    { title: 'end', ...right },
    { title: 'tokens each', ...right },
  ];
  const rows = runsOf(ranges).map(([first, last]) => {
    const span = first === last ? `${first.channel}` : `${first.channel}–${last.channel}`;
    return [span, first.begin, last.end, tokensOf(first)];
  });
  return tableLines(columns, rows);
}

function runsOf(ranges: readonly ChannelRange[]): [first: ChannelRange, last: ChannelRange][] {
  const runs: [first: ChannelRange, last: ChannelRange][] = [];
  for (const range of ranges) {
    const run = runs.at(-1);
    if (run && tokensOf(run[0]) === tokensOf(range)) run[1] = range;
    else runs.push([range, range]);
  }
  return runs;
}

function tokensOf({ begin, end }: ChannelRange): number {
  return end - begin;
}

function reuseLines(plan: Plan): string[] {
  return plan.reuse.flatMap((edge) => {
    const calls = ['same call', 'next call'][edge.distance] ?? `${edge.distance} calls later`;
    const pair = `${edge.region}: ${edge.earlier} → ${edge.later}, ${calls}: ${edge.provenBy}`;
    const argument = wrapText(edge.argument, COLUMNS - 6).map((line) => `    ${line}`);
    return [...wrapText(pair, COLUMNS - 2), ...argument];
  });
}
