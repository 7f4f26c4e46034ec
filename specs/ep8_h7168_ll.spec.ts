import { defineSpec } from 'epgen';

// Decoding: up to 128 tokens a rank arrive as fp8, with scales in the columns that grouped GEMMs read.
export default defineSpec({
  name: 'ep8_h7168_ll',
  ranks: 8,
  hidden: 7168,
  ll: { dtype: 'fp8_e4m3', scaleLayout: 'column' },
});
