const { openGroup, spec } = require('#epgen/ep2_h64_bf16');

async function main() {
  const { hidden, topk } = spec;
  const group = await openGroup();
  const received = await group.dispatch(
    group.ranks.map((rank) => ({
      x: rank.tensor('bf16', [2, hidden], new Float32Array(2 * hidden).fill(3)),
      topkIdx: rank.tensor('i64', [2, topk], new Array(2 * topk).fill(0)),
      topkWeights: rank.tensor('f32', [2, topk], new Float32Array(2 * topk).fill(1)),
    })),
  );
  const combined = await group.combine(received.map(({ x, handle }) => ({ x, handle })));
  for (const { x } of combined) {
    if ((await x.toFloat32()).some((value) => value !== 3)) throw new Error('expected 3 everywhere');
  }
  await group.dispose();
  console.log(`${group.backend}: ${received.map(({ x }) => x.shape[0]).join(' ')} rows`);
}

main();
