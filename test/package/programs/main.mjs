import { openGroup, sizes, spec } from '#epgen/ep2_h64_bf16';

const { ranks, hidden, topk, experts } = spec;
const group = await openGroup();
const tokens = [5, 3];
const rows = tokens.map((n, rank) =>
  Float32Array.from({ length: n * hidden }, (_, i) => ((i * 7 + rank) % 251) - 125),
);
const received = await group.dispatch(
  group.ranks.map((rank, r) => ({
    x: rank.tensor('bf16', [tokens[r], hidden], rows[r]),
    topkIdx: rank.tensor(
      'i64',
      [tokens[r], topk],
      Array.from({ length: tokens[r] * topk }, (_, i) =>
        i % topk === 0 ? ((i / topk + r) * (experts / ranks)) % experts : -1,
      ),
    ),
    topkWeights: rank.tensor('f32', [tokens[r], topk], new Float32Array(tokens[r] * topk).fill(1)),
  })),
);
const combined = await group.combine(received.map(({ x, handle }) => ({ x, handle })));
for (const [r, { x }] of combined.entries()) {
  const values = await x.toFloat32();
  if (values.length !== rows[r].length) throw new Error(`rank ${r}: ${values.length} values`);
  values.forEach((value, i) => {
    if (value !== rows[r][i]) throw new Error(`rank ${r}, ${i}: ${value}, not ${rows[r][i]}`);
  });
}
await group.dispose();
console.log(
  `${group.backend}: ${received.map(({ x }) => x.shape[0]).join(' ')} rows, ${sizes.windowBytes > 0}`,
);
