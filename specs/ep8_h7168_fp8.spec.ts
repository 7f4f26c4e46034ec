import { defineSpec } from 'epgen';

// fp8 rows with their scales in the columns that grouped GEMMs read, and what training and serving ask for beside it.
export default defineSpec({
  name: 'ep8_h7168_fp8',
  ranks: 8,
  hidden: 7168,
  dtype: 'fp8_e4m3',
  scaleLayout: 'column',
  ht: {
    cached: true,
    worstTokens: true,
    combineWeights: true,
    expertMajor: true,
    readyCounters: true,
  },
});
