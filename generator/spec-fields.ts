import type * as z from 'zod';
import { DERIVED_DEFAULTS, specSchema } from './spec-schema.js';

/** One field of a spec, for tables and completions. */
export interface SpecField {
  /** Such as `channels.memory.count`. */
  readonly path: string;
  /** What values it takes, as a type of TypeScript: `'auto' | number`. */
  readonly type: string;
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
      type: typeOf(schema),
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

function typeOf(schema: Schema): string {
  const def = defOf(schema);
  if ('innerType' in def) return typeOf(def.innerType as Schema);
  if (def.type === 'union') return def.options.map(typeOf).join(' | ');
  if (def.type === 'literal') return def.values.map(literal).join(' | ');
  if (def.type === 'enum') return Object.values(def.entries).map(literal).join(' | ');
  return def.type;
}

function literal(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value);
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
  return { default: typeof value === 'object' ? JSON.stringify(value) : literal(value) };
}
