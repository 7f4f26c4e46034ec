import { describe, expect, test } from 'vitest';
import {
  lastSendOf,
  llBuffersFor,
  llRecvBuffersFor,
  recvBuffersFor,
  reuseTable,
} from '../../generator/reuse.js';

const input = { numRecvBuffers: 3, numOutputBuffers: 2, liveResults: 2, credit: false };

test.each([
  [1, false, 2],
  [2, false, 3],
  [4, false, 5],
  [1, true, 1],
  [2, true, 2],
])('%i live results, credit %s: %i receive buffers', (liveResults, credit, numRecvBuffers) => {
  expect(recvBuffersFor({ liveResults, credit })).toBe(numRecvBuffers);
});

test.each([
  [1, false, 1],
  [3, false, 3],
  [1, true, 0],
  [2, true, 1],
])('%i live results, credit %s: sent on by the next %i dispatches', (liveResults, credit, last) => {
  const lifetimes = { liveResults, credit };
  expect(lastSendOf(lifetimes)).toBe(last);
  const table = reuseTable({ ...input, ...lifetimes, numRecvBuffers: recvBuffersFor(lifetimes) });
  const sends = table.filter(({ later }) => later === 'dispatch reads result');
  expect(sends.length > 0).toBe(last > 0);
});

test('an edge names each pair once and survives JSON', () => {
  const table = reuseTable(input);
  const names = table.map(({ region, earlier, later }) => `${region}: ${earlier} → ${later}`);
  expect(new Set(names).size).toBe(names.length);
  expect(JSON.parse(JSON.stringify(table))).toEqual(table);
});

test('receive buffers are proven by arrivals, and with credit by the count words', () => {
  const proof = (credit: boolean) =>
    reuseTable({ ...input, numRecvBuffers: credit ? 2 : 3, credit }).find(
      ({ earlier, later }) => earlier === 'combine pulls rows' && later === 'dispatch writes rows',
    );
  expect(proof(false)).toMatchObject({ distance: 3, provenBy: 'dispatch.arrivals' });
  expect(proof(true)).toMatchObject({ distance: 2, provenBy: 'dispatch.counts' });
  expect(proof(false)?.argument).toBe(
    'Uses of the result of D(e) on any rank are enqueued before D(e+2); ' +
      'a source starts D(e+3) after all arrivals of D(e+2), so every rank has started that.',
  );
});

test.each([
  [{ numRecvBuffers: 2 }, 'numRecvBuffers: expected at least 3, received 2'],
  [{ numOutputBuffers: 1 }, 'numOutputBuffers: expected at least 2, received 1'],
])('buffers that no wait proves are refused: %o', (change, message) => {
  expect(() => reuseTable({ ...input, ...change })).toThrow(message);
});

describe('low-latency calls', () => {
  const low = (llInFlight: number, hasLlCredit: boolean) => ({
    ...input,
    llInFlight,
    numLlRecvBuffers: llRecvBuffersFor({ inFlight: llInFlight, credit: hasLlCredit }),
    numLlCountBuffers: llBuffersFor(llInFlight),
    numLlOutputBuffers: llBuffersFor(llInFlight),
    features: { hasLlCredit },
  });
  const edgesOf = (inFlight: number, hasCredit: boolean) =>
    reuseTable(low(inFlight, hasCredit)).filter(({ region }) => region.startsWith('ll_'));

  test('are in the table only where the spec has them', () => {
    const none = { ...low(1, false), llInFlight: 0 };
    expect(reuseTable(none)).toEqual(reuseTable(input));
    expect(reuseTable(low(2, true)).slice(0, reuseTable(input).length)).toEqual(reuseTable(input));
  });

  test('have the table of their own where there are no others', () => {
    const { numRecvBuffers, numOutputBuffers, liveResults, credit, ...alone } = low(2, false);
    expect(reuseTable(alone)).toEqual(edgesOf(2, false));
  });

  test.each([
    [1, false, 2, 'll.arrivals'],
    [2, false, 4, 'll.arrivals'],
    [4, false, 8, 'll.arrivals'],
    [1, true, 1, 'll.started'],
    [4, true, 4, 'll.started'],
  ])(
    '%i in flight, credit %s: rows are written again %i calls later, proven by %s',
    (inFlight, hasCredit, distance, provenBy) => {
      const edge = edgesOf(inFlight, hasCredit).find(
        ({ earlier, later }) => earlier === 'caller reads result' && later === 'send writes rows',
      );
      expect(edge).toMatchObject({ region: 'll_recv', distance, provenBy });
    },
  );

  test('an edge names each pair once; started words are there with credit only', () => {
    for (const hasCredit of [false, true]) {
      const edges = edgesOf(2, hasCredit);
      const names = edges.map(({ region, earlier, later }) => `${region}: ${earlier} → ${later}`);
      expect(new Set(names).size).toBe(names.length);
      expect(edges.some(({ region }) => region === 'll_started')).toBe(hasCredit);
    }
  });

  test.each([
    [{ numLlRecvBuffers: 3 }, 'numLlRecvBuffers: expected at least 4, received 3'],
    [{ numLlCountBuffers: 3 }, 'numLlCountBuffers: expected at least 4, received 3'],
    [{ numLlOutputBuffers: 2 }, 'numLlOutputBuffers: expected at least 4, received 2'],
  ])('buffers that no wait proves are refused: %o', (change, message) => {
    expect(() => reuseTable({ ...low(2, false), ...change })).toThrow(message);
  });
});
