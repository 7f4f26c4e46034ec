import { DOMParser, type Element } from '@xmldom/xmldom';
import { describe, expect, test } from 'vitest';
import type { Finding } from '../../../cli/diagram/finding.js';
import { spaceTimeDiagram } from '../../../cli/diagram/space-time-diagram.js';
import { earlyAnnouncement, earlyAnnouncementTrace, MadeUpTrace } from './made-up.js';

interface Box {
  readonly text: string;
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** A drawing as a browser would read it; anything that is no well-formed XML throws. */
class Picture {
  readonly #root: Element;

  constructor(svg: string) {
    const fail = (level: string, message: string) => {
      throw new Error(`${level}: ${message}`);
    };
    const document = new DOMParser({ onError: fail }).parseFromString(svg, 'image/svg+xml');
    this.#root = document.documentElement!;
  }

  elements(name: string, style = ''): Element[] {
    return [...this.#root.getElementsByTagName(name)].filter((element) =>
      (element.getAttribute('class') ?? '').startsWith(style),
    );
  }

  texts(style = ''): string[] {
    return this.elements('g', style).map((group) =>
      [...group.getElementsByTagName('text')].map((text) => text.textContent).join(' '),
    );
  }

  boxes(): Box[] {
    return this.elements('g').map((group) => {
      const backing = group.getElementsByTagName('rect')[0]!;
      const [left, top, width, height] = ['x', 'y', 'width', 'height'].map((name) =>
        Number(backing.getAttribute(name)),
      ) as [number, number, number, number];
      return {
        text: group.textContent ?? '',
        left,
        top,
        right: left + width,
        bottom: top + height,
      };
    });
  }

  size(): { width: number; height: number } {
    const number = (name: string) => Number(this.#root.getAttribute(name));
    return { width: number('width'), height: number('height') };
  }
}

function expectReadable(picture: Picture): void {
  const { width, height } = picture.size();
  expect(width).toBe(1200);
  const boxes = picture.boxes();
  for (const [idx, a] of boxes.entries()) {
    expect(a.left, a.text).toBeGreaterThanOrEqual(0);
    expect(a.right, a.text).toBeLessThanOrEqual(width);
    expect(a.bottom, a.text).toBeLessThanOrEqual(height);
    for (const b of boxes.slice(idx + 1)) {
      const meet = a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
      expect(meet, `"${a.text}" and "${b.text}"`).toBe(false);
    }
  }
}

const draw = (trace: MadeUpTrace, finding: Finding, spec = 'ep2_h64_bf16'): Picture =>
  new Picture(spaceTimeDiagram(trace.build(spec), finding));

describe('a row that is announced too early', () => {
  const picture = draw(earlyAnnouncementTrace(), earlyAnnouncement);

  test('names detector, spec, seed and policy, and tells the message', () => {
    expect(picture.texts('title')).toEqual(['race in ep2_h64_bf16: seed 4711, policy priority']);
    expect(picture.texts('text').join(' ')).toBe(earlyAnnouncement.message);
  });

  test('has a line for both places and for the warp between them, and folds the others', () => {
    expect(picture.texts('head')).toEqual([
      'rank 0 block 0 warp 1',
      'rank 1 block 0 warp 0',
      'rank 1 block 0 warp 3',
    ]);
    expect(picture.texts('quiet').join()).toContain('Other warps that are not drawn: 1.');
  });

  test('marks both accesses with what, file and line', () => {
    expect(picture.texts('place')).toEqual([
      '(1) bulk_store window.recv_x dispatch_send.cuh:88, lane 0, async proxy',
      '(2) ld_vec16 window.recv_x dispatch_receive.cuh:41, lane 17',
    ]);
  });

  test('draws the missing order with its remedy', () => {
    expect(picture.elements('line', 'missing')).toHaveLength(2); // one in the legend
    expect(picture.texts('remedy')).toEqual([earlyAnnouncement.remedy]);
  });

  test('draws the copy as a band, the release as a store and as the order that it gives', () => {
    expect(picture.elements('polygon', 'band')).toHaveLength(2);
    expect(picture.elements('line', 'arrow store')).toHaveLength(2);
    expect(picture.elements('line', 'arrow order')).toHaveLength(3); // release to acquire, sync_block
    expect(picture.texts('step')).toContain(
      'red_add_release_sys control.arrivals value 0x1, dispatch_send.cuh:95',
    );
  });

  test('can be read', () => expectReadable(picture));

  test('explains what it uses and nothing else', () => {
    expect(picture.texts('quiet')).not.toContain('only seen: orders nothing');
    expect(picture.texts('quiet')).toContain('bulk copy: source read to complete');
  });

  test('time runs downwards', () => {
    const times = picture.texts('time').map(Number.parseFloat);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });
});

test('a value that is only seen orders nothing', () => {
  const trace = earlyAnnouncementTrace().build('spec');
  const relaxed = trace.traceEvents.map((event) =>
    event.args?.order === 'release'
      ? { ...event, args: { ...event.args, order: 'relaxed' } }
      : event,
  );
  const picture = new Picture(
    spaceTimeDiagram({ ...trace, traceEvents: relaxed }, earlyAnnouncement),
  );
  expect(picture.elements('line', 'arrow seen')).toHaveLength(2);
});

test('text is escaped', () => {
  const message = `a < b && "c" > 'd' </text><script>alert(1)</script> \u0007 ${'long'.repeat(80)}`;
  const places = earlyAnnouncement.places.map((place) => ({ ...place, object: '<&">' }));
  const picture = draw(
    earlyAnnouncementTrace(),
    { ...earlyAnnouncement, message, places, remedy: ']]> & more' },
    '<spec>',
  );
  expect(picture.elements('script')).toEqual([]);
  expect(picture.texts('title')[0]).toContain('<spec>');
  expect(picture.texts('text').join(' ')).toContain(`a < b && "c" > 'd' </text><script>`);
  expect(picture.texts('remedy')).toEqual([']]> & more']);
  expectReadable(picture);
});

test('an upload is a place on the stream of its rank', () => {
  const trace = earlyAnnouncementTrace();
  trace.step('task', 'upload', 9600, { rank: 1 }, { home: 1 });
  const places = [
    earlyAnnouncement.places[0]!,
    { file: '', line: 0, what: 'upload', rank: 1, block: 0, warp: 0, agent: 'stream' },
  ];
  const picture = draw(trace, { ...earlyAnnouncement, places });
  expect(picture.texts('head')).toContain('rank 1 stream');
  expect(picture.texts('place')).toContain('(2) upload');
});

describe('without places', () => {
  const finding: Finding = { detector: 'timeout', seed: 1, message: 'nobody came', places: [] };

  test('the longest wait of each rank is drawn', () => {
    const trace = new MadeUpTrace().call('combine', 0, 10, 5000).call('combine', 1, 20, 5000);
    trace.wait('ready', 100, 4900, { rank: 0, warp: 2 }, { file: 'combine.cuh', line: 9 });
    trace.wait('ready', 100, 300, { rank: 0, warp: 3 }, { file: 'combine.cuh', line: 9 });
    trace.wait('full stage', 200, 4900, { rank: 1 }, { file: 'combine.cuh', line: 12 });
    const picture = draw(trace, finding);
    expect(picture.texts('title')).toEqual(['timeout in ep2_h64_bf16: seed 1']);
    expect(picture.texts('place')).toEqual([
      '(1) wait: ready combine.cuh:9',
      '(2) wait: full stage combine.cuh:12',
    ]);
    expect(picture.elements('line', 'missing')).toEqual([]);
    expectReadable(picture);
  });

  test('an empty trace is drawn too', () => expectReadable(draw(new MadeUpTrace(), finding)));
});

test('many places with long names keep apart', () => {
  const places = Array.from({ length: 9 }, (_, idx) => ({
    file: `some/folder/a_file_with_a_rather_long_name_${idx}.cuh`,
    line: 1000 + idx,
    what: 'wait_acquire_sys',
    object: `window.control.a_member_with_a_very_long_name[${idx}].and_more`,
    rank: idx % 4,
    block: idx,
    warp: 11,
    lane: 31,
  }));
  const trace = new MadeUpTrace();
  for (let rank = 0; rank < 4; rank++) trace.call('dispatch', rank, 1, 2000);
  for (const [idx, place] of places.entries()) {
    for (let time = 0; time < 5; time++) {
      const at = { ...place, lane: time };
      trace.step('fence', 'fence_proxy_async', 100 * time + idx, at, {
        file: place.file,
        line: time,
      });
    }
    trace.step('load', place.what, 900 + idx, place, { file: place.file, line: place.line });
  }
  const picture = draw(trace, { detector: 'fault', seed: 1, message: 'all at once', places });
  expect(picture.texts('head')).toHaveLength(6);
  expectReadable(picture);
});
