import { defineSpec } from 'epgen';

// Rows of 5760 bytes, which are not whole warps of 16-byte vectors.
export default defineSpec({ ranks: 4, hidden: 2880 });
