import { tmpdir } from 'node:os';
import { chdir, cwd } from 'node:process';
import { afterEach, describe, expect, it } from 'vitest';
import { generate } from '../../generator/generate.js';
import { PRESETS } from '../../generator/presets.js';
import { parseSpec } from '../../generator/spec.js';

const home = cwd();
afterEach(() => chdir(home));

const specs = Object.values(PRESETS).map(({ spec }) => parseSpec(spec, 'preset'));
const render = (order: typeof specs) =>
  Object.fromEntries(order.map((spec) => [spec.name, [...generate(spec)]]));

describe('generate', () => {
  it('gives the same bytes from another folder and in another order', () => {
    const here = render(specs);
    chdir(tmpdir());
    expect(render([...specs].reverse())).toEqual(here);
  });

  it('names no place of this machine', () => {
    for (const text of generate(parseSpec({ ranks: 2, hidden: 64 }, 'test')).values()) {
      expect(text).not.toContain(home);
      expect(text).not.toMatch(/\/(?:home|root|tmp|work)\//);
    }
  });
});
