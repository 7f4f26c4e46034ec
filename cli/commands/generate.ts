import { relative } from 'node:path';
import type { Command } from 'commander';
import { generateTo } from '../../generator/generate.js';
import type { Context } from '../main.js';
import { selectSpecs } from '../select-specs.js';
import { addSpecOptions, type SpecFlagValues } from '../spec-flags.js';

interface GenerateOptions extends SpecFlagValues {
  readonly out?: string;
  readonly force?: boolean;
}

export function define(command: Command, { output }: Context): void {
  command.argument('[specs...]', 'spec files, or names in specs/ (default: all of specs/)');
  addSpecOptions(command);
  command
    .option('--out <dir>', 'folder to write (default: generated/<name>)')
    .option('--force', 'write even where another spec or other files are')
    .option('--json', 'print one JSON record a spec')
    .addHelpText(
      'after',
      '\nSpec files are not type-checked here: their values are checked when they are\nread. An editor or tsc checks the types.',
    )
    .action(async (specs: string[], options: GenerateOptions) => {
      const { out, force = false, ...flags } = options;
      const selected = await selectSpecs(specs, {
        ...flags,
        ...(out === undefined ? {} : { out }),
      });
      for (const { spec, source, outDir } of selected) {
        const { written, unchanged } = await generateTo(outDir, spec, source, { force });
        output.record({ event: 'generated', name: spec.name, dir: outDir, written, unchanged });
        const folder = relative('', outDir) || '.';
        output.line(`${folder}: ${written.length} files written, ${unchanged.length} unchanged`);
      }
    });
}
