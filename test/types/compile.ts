import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** What a strict program of a user who has neither Node's types nor a lib newer than es2022 compiles with. */
const USER_OPTIONS: ts.CompilerOptions = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2022.d.ts'],
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  types: [],
  skipLibCheck: false,
  noEmit: true,
};

/** A compiler whose view of the disk has `files` on top, and `epgen/runtime` as its declarations say. */
export class UserProject {
  readonly #files = new Map<string, string>();
  readonly #folder = `${ROOT}test/types/user/`;
  readonly #main = `${this.#folder}main.ts`;
  /** Parsed files, so that only the program itself is parsed again. */
  readonly #sources = new Map<string, ts.SourceFile>();

  /** Starts with the declarations of `epgen/runtime`, emitted from the sources. */
  constructor() {
    this.addFile('package.json', '{ "type": "module" }');
    const runtime = 'node_modules/epgen/';
    this.addFile(
      `${runtime}package.json`,
      JSON.stringify({
        name: 'epgen',
        type: 'module',
        exports: { './runtime': './dist/index.js' },
      }),
    );
    for (const [name, text] of emitRuntimeDeclarations()) {
      this.addFile(`${runtime}dist/${name}`, text);
    }
  }

  addFile(path: string, text: string): void {
    this.#files.set(this.#folder + path, text);
  }

  /** Adds what `epgen build` makes of a generated `index.ts`: its declarations, from that file alone. */
  addModule(name: string, text: string): readonly string[] {
    const { outputText, diagnostics = [] } = ts.transpileDeclaration(text, {
      fileName: 'index.ts',
      reportDiagnostics: true,
      compilerOptions: {
        isolatedDeclarations: true,
        declaration: true,
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.NodeNext,
      },
    });
    this.addFile(`generated/${name}/index.d.ts`, outputText);
    return diagnostics.map(messageOf);
  }

  /** Checks a program; gives the messages about it, without positions. */
  check(text: string, options: ts.CompilerOptions = {}): readonly string[] {
    const program = this.#program(text, options);
    const main = program.getSourceFile(this.#main);
    const diagnostics = [
      ...program.getOptionsDiagnostics(),
      ...program.getSyntacticDiagnostics(main),
      ...program.getSemanticDiagnostics(main),
    ];
    return diagnostics.map(messageOf);
  }

  /** Checks a program, every declaration that it reaches, and the libraries. */
  checkAll(text: string): readonly string[] {
    return ts.getPreEmitDiagnostics(this.#program(text, {})).map(messageOf);
  }

  #program(text: string, options: ts.CompilerOptions): ts.Program {
    this.#files.set(this.#main, text);
    this.#sources.delete(this.#main);
    const compilerOptions = { ...USER_OPTIONS, ...options };
    return ts.createProgram([this.#main], compilerOptions, this.#host(compilerOptions));
  }

  #host(options: ts.CompilerOptions): ts.CompilerHost {
    const host = ts.createCompilerHost(options);
    const { readFile, fileExists, getSourceFile } = host;
    host.getSourceFile = (path, version) => {
      const source = this.#sources.get(path) ?? getSourceFile(path, version);
      if (source !== undefined) this.#sources.set(path, source);
      return source;
    };
    host.readFile = (path) => this.#files.get(path) ?? readFile(path);
    host.fileExists = (path) => this.#files.has(path) || fileExists(path);
    host.directoryExists = (path) =>
      [...this.#files.keys()].some((file) => file.startsWith(`${path}/`)) ||
      ts.sys.directoryExists(path);
    host.realpath = (path) => path;
    return host;
  }
}

function messageOf({ messageText }: ts.Diagnostic): string {
  return ts.flattenDiagnosticMessageText(messageText, '\n');
}

function emitRuntimeDeclarations(): ReadonlyMap<string, string> {
  const { config } = ts.readConfigFile(`${ROOT}tsconfig.json`, ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  const program = ts.createProgram([`${ROOT}native/index.ts`], {
    ...options,
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
  });
  const emitted = new Map<string, string>();
  program.emit(undefined, (path, text) => {
    emitted.set(path.slice(path.lastIndexOf('/') + 1), text);
  });
  return emitted;
}
