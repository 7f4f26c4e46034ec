import { existsSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { checkAll, checkFolder, type DriftReport } from '../../generator/check.js';
import { counted } from '../../generator/counted.js';
import { EpgenError } from '../../generator/errors.js';
import { GENERATED_FOLDER } from '../../generator/paths.js';
import type { Context } from '../main.js';
import type { Output } from '../output.js';

export function define(command: Command, { output, finish }: Context): void {
  command
    .argument(
      '[folders...]',
      'generated folders, or names in generated/ (default: all of generated/ and specs/)',
    )
    .option('--json', 'print the result as one JSON record')
    .action(async (folders: string[]) => {
      const report = folders.length > 0 ? await checkEach(folders) : await checkAll(process.cwd());
      if (report.folders.length === 0 && report.problems.length === 0) throw nothingToCheck();
      print(report, output);
      finish(report.problems.length === 0 ? 'ok' : 'check-failed');
    });
}

/** Most likely run in another folder than the project's: that must not pass as a check. */
function nothingToCheck(): EpgenError {
  return new EpgenError(
    `Expected generated folders or specs to check but ${resolve()} has neither generated/ nor specs/`,
    { code: 'EPGEN_ARGUMENT', hint: 'Run it in the project folder, or name the folders.' },
  );
}

async function checkEach(folders: readonly string[]): Promise<DriftReport> {
  const reports = await Promise.all(folders.map((folder) => checkFolder(generatedFolder(folder))));
  return {
    folders: reports.flatMap((report) => report.folders),
    problems: reports.flatMap((report) => report.problems),
  };
}

/** A path, or a name as other commands take it. */
function generatedFolder(folder: string): string {
  const named = resolve(GENERATED_FOLDER, folder);
  return !existsSync(folder) && existsSync(named) ? named : resolve(folder);
}

function print({ folders, problems }: DriftReport, output: Output): void {
  output.record({ event: 'checked', ok: problems.length === 0, folders, problems });
  for (const { path, kind, diff } of problems) {
    output.line(`${kind.padEnd(10)} ${shown(path)}`);
    if (diff) output.line(diff.trimEnd());
  }
  const found = problems.length === 0 ? 'no drift' : counted(problems.length, 'problem');
  output.line(`${counted(folders.length, 'generated folder')} checked: ${found}`);
  if (problems.length > 0) output.line('epgen generate writes the folders anew.');
}

function shown(path: string): string {
  const fromHere = relative('', path);
  return fromHere.startsWith('..') ? path : fromHere;
}
