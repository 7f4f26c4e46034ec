import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type * as TsMorph from 'ts-morph';
import { createFolder } from './create-folder.js';
import { cacheFolder, packageRoot } from './paths.js';

/** A declaration as ts-morph describes it, with its kind by name. */
export type Statement =
  | WithKindName<TsMorph.ImportDeclarationStructure, 'ImportDeclaration'>
  | (Omit<
      WithKindName<TsMorph.VariableStatementStructure, 'VariableStatement'>,
      'declarationKind'
    > & {
      readonly declarationKind: 'const';
    })
  | WithKindName<TsMorph.TypeAliasDeclarationStructure, 'TypeAlias'>
  | WithKindName<TsMorph.InterfaceDeclarationStructure, 'Interface'>
  | WithKindName<TsMorph.FunctionDeclarationStructure, 'Function'>;

type WithKindName<Structure, Kind> = Omit<Structure, 'kind'> & { readonly kind: Kind };

/** A source file as plain data: JSON keeps all of it. */
export interface SourceStructure {
  readonly banner: string;
  readonly statements: readonly Statement[];
}

/** Raise it when printing changes in a way that neither the structure nor ts-morph's version shows. */
const FORMAT = 2;

const requireHere = createRequire(import.meta.url);
const printed = new Map<string, string>();

/**
 * The text of a source file, printed by ts-morph. Loading that takes most of a second, so texts are kept by the hash of
 * all that they follow from: the structure and ts-morph's version.
 */
export function printedSource(structure: SourceStructure): string {
  const key = keyOf(structure);
  const known = printed.get(key) ?? readCached(key);
  const text = known ?? printWithTsMorph(structure);
  if (known === undefined) writeCached(key, text);
  printed.set(key, text);
  return text;
}

export function printWithTsMorph({ banner, statements }: SourceStructure): string {
  const { StructureKind } = tsMorph();
  const named = statements.map((one) => ({ ...one, kind: StructureKind[one.kind] }));
  const structure = { statements: named as TsMorph.StatementStructures[] };
  project ??= newProject();
  const file = project.createSourceFile('index.ts', structure, { overwrite: true });
  file.formatText({ indentSize: 2 });
  // ts-morph opens an empty body over two lines, and sets interfaces off by an empty one of its own.
  const text = file.getFullText().replaceAll('{\n}', '{}').replaceAll('\n\n\n', '\n\n');
  return `${banner}\n${text}`;
}

let project: TsMorph.Project | undefined;

function newProject(): TsMorph.Project {
  const { IndentationText, NewLineKind, Project, QuoteKind } = tsMorph();
  return new Project({
    useInMemoryFileSystem: true,
    manipulationSettings: {
      indentationText: IndentationText.TwoSpaces,
      newLineKind: NewLineKind.LineFeed,
      quoteKind: QuoteKind.Single,
    },
  });
}

function tsMorph(): typeof TsMorph {
  return requireHere('ts-morph') as typeof TsMorph;
}

function keyOf(structure: SourceStructure): string {
  const { version } = requireHere('ts-morph/package.json') as { version: string };
  return sha256(JSON.stringify([FORMAT, version, structure]));
}

/** Beside epgen where that can be written, since these texts don't depend on the project. */
function cachePath(key: string): string {
  return join(cacheFolder(packageRoot(), process.cwd()), 'wrappers', `${key}.json`);
}

function readCached(key: string): string | undefined {
  try {
    const entry = JSON.parse(readFileSync(cachePath(key), 'utf8')) as {
      text: string;
      hash: string;
    };
    return sha256(entry.text) === entry.hash ? entry.text : undefined;
  } catch {
    return undefined;
  }
}

/** A cache that can't be written costs time, nothing else. */
function writeCached(key: string, text: string): void {
  const path = cachePath(key);
  const fresh = `${path}.${process.pid}-${randomBytes(3).toString('hex')}`;
  try {
    createFolder(dirname(path));
    try {
      writeFileSync(fresh, JSON.stringify({ hash: sha256(text), text }));
      renameSync(fresh, path);
    } finally {
      rmSync(fresh, { force: true });
    }
  } catch {
    // The next run prints again.
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
