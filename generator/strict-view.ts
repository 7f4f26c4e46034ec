/**
 * A view in which reading what isn't there throws. Handlebars' strict mode lets several such reads pass as empty:
 * `{{#if missing}}`, `{{#each missing}}`, and properties whose value is undefined.
 */
export function strictView<T extends object>(view: T, path = 'view'): T {
  return new Proxy(view, {
    get(target, key) {
      if (typeof key === 'symbol') return Reflect.get(target, key);
      const value: unknown = Reflect.get(target, key);
      if (value === undefined)
        throw new Error(`The template read ${path}.${key}, which the view does not define`);
      return typeof value === 'object' && value !== null
        ? strictView(value, `${path}.${key}`)
        : value;
    },
  });
}
