import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Handlebars from 'handlebars';
import { EpgenError } from './errors.js';
import type { RenderedFile } from './kernels.js';
import { packageRoot } from './paths.js';
import { strictView } from './strict-view.js';
import type { View } from './view.js';

const ENGINE_OPTIONS = {
  strict: true,
  noEscape: true,
  knownHelpersOnly: true,
  explicitPartialContext: true,
} as const;

type Template = HandlebarsTemplateDelegate<unknown>;

/** A set of templates in one folder, compiled when first used. */
export interface Templates {
  render(file: RenderedFile, view: View): string;
}

/** @throws an error that names the template and the spec, and what the template read in vain. */
export function renderFile(file: RenderedFile, view: View): string {
  packaged ??= templatesIn(join(packageRoot(), 'templates'));
  try {
    return packaged.render(file, view);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const place = `templates/${file.template}.hbs for ${view.specName}`;
    throw new EpgenError(`${reason}\n  while rendering ${place}`, {
      code: 'EPGEN_INTERNAL',
      cause,
    });
  }
}

let packaged: Templates | undefined;

export function templatesIn(folder: string): Templates {
  const engine = Handlebars.create();
  const compiled = new Map<string, Template>();
  let hasPartials = false;
  const compile = (path: string) => engine.compile(readFileSync(path, 'utf8'), ENGINE_OPTIONS);

  return {
    render({ template: file, variant }, view) {
      if (!hasPartials) {
        const partials = join(folder, 'partials');
        for (const name of partialNames(partials)) {
          engine.registerPartial(name, compile(join(partials, `${name}.hbs`)));
        }
        hasPartials = true;
      }
      const template = compiled.get(file) ?? compile(join(folder, `${file}.hbs`));
      compiled.set(file, template);
      return template(strictView({ ...view, ...variant, template: `templates/${file}.hbs` }));
    },
  };
}

/** Names of partials, with `/` for folders. */
function partialNames(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.hbs'))
    .map((path) => path.slice(0, -'.hbs'.length))
    .sort();
}
