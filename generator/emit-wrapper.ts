import { EpgenError } from './errors.js';

/** `index.ts` of a generated folder as the two files that a project imports. */
export interface EmittedWrapper {
  readonly js: string;
  readonly dts: string;
}

/**
 * Compiles the wrapper without looking at any other file: its declarations follow from its own text.
 * Loads a TypeScript compiler, so call it only when the wrapper has changed.
 */
export async function emitWrapper(source: string, path: string): Promise<EmittedWrapper> {
  const { ts } = await import('ts-morph');
  const compilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    verbatimModuleSyntax: true,
    newLine: ts.NewLineKind.LineFeed,
  };
  const options = { compilerOptions, fileName: path, reportDiagnostics: true };
  const js = ts.transpileModule(source, options);
  const dts = ts.transpileDeclaration(source, {
    ...options,
    compilerOptions: { ...compilerOptions, declaration: true, isolatedDeclarations: true },
  });
  const problems = [...(js.diagnostics ?? []), ...(dts.diagnostics ?? [])];
  if (problems.length > 0) {
    const text = problems.map((one) => ts.flattenDiagnosticMessageText(one.messageText, '\n'));
    throw new EpgenError(`Cannot compile ${path}:\n${text.join('\n')}`, { code: 'EPGEN_COMPILE' });
  }
  return { js: js.outputText, dts: dts.outputText };
}
