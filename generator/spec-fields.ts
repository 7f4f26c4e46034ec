import type * as z from 'zod';
import { DERIVED_DEFAULTS, specSchema } from './spec-schema.js';

/** One field of a spec, for tables and completions. */
export interface SpecField {
  /** Such as `channels.memory.count`. */
  readonly path: string;
  readonly description: string;
  /** As a spec would write it, or in words where it depends on other fields; absent for a required field. */
  readonly default?: string;
}

/** Every field that a spec may have, derived from the schema. Sections come before their fields. */
export const specFields: readonly SpecField[] = fieldsOf(specSchema.def.shape, '');

function fieldsOf(shape: z.core.$ZodShape, prefix: string): SpecField[] {
  return Object.entries(shape).flatMap(([key, schema]) => {
    const path = prefix + key;
    const inner = objectInside(schema);
    const field: SpecField = {
      path,
      description: descriptionOf(schema),
      ...defaultOf(path, schema),
    };
    return inner ? [field, ...fieldsOf(inner, `${path}.`)] : [field];
  });
}

type Schema = z.core.$ZodType;
type AnyDef = z.core.$ZodTypes['_zod']['def'];

function defOf(schema: Schema): AnyDef {
  return (schema as z.core.$ZodTypes)._zod.def;
}

/** The fields of a section, be it optional or an alternative to false. */
function objectInside(schema: Schema): z.core.$ZodShape | undefined {
  const def = defOf(schema);
  if (def.type === 'object') return def.shape;
  if (def.type === 'default' || def.type === 'prefault' || def.type === 'optional')
    return objectInside(def.innerType);
  if (def.type === 'union')
    return def.options.map(objectInside).find((shape) => shape !== undefined);
  return undefined;
}

function descriptionOf(schema: Schema): string {
  const own = (schema as { description?: string }).description;
  if (own !== undefined) return own;
  const def = defOf(schema);
  return 'innerType' in def ? descriptionOf(def.innerType as Schema) : '';
}

function defaultOf(path: string, schema: Schema): Pick<SpecField, 'default'> {
  const derived = DERIVED_DEFAULTS[path];
  if (derived !== undefined) return { default: derived };
  const def = defOf(schema);
  if (def.type !== 'default' && def.type !== 'prefault') return {};
  const value = def.defaultValue;
  return { default: typeof value === 'string' ? `'${value}'` : JSON.stringify(value) };
}
