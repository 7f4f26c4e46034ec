import { openGroup, spec } from '#epgen/ep2_h64_bf16';

const group = await openGroup({ backend: 'cpu' });
const { hidden, topk } = spec;
const received = await group.dispatch(
  group.ranks.map((rank) => ({
    x: rank.tensor('bf16', [1, hidden], new Float32Array(hidden).fill(rank.index + 1)),
    topkIdx: rank.tensor('i64', [1, topk], Int32Array.from({ length: topk }, (_, k) => (k < 1 ? 0 : -1))),
    topkWeights: rank.tensor('f32', [1, topk], new Float32Array(topk)),
  })),
);
const combined = await group.combine(received.map(({ x, handle }) => ({ x, handle })));
for (const [index, { x }] of combined.entries()) {
  const values: Float32Array = await x.toFloat32();
  if (values.some((value) => value !== index + 1)) throw new Error(`rank ${index} differs`);
}
// @ts-expect-error a combine needs the handle of its dispatch
const incomplete: Parameters<typeof group.combine>[0] = received.map(({ x }) => ({ x }));
if (incomplete.length !== 2) throw new Error('expected two ranks');
await group.dispose();
