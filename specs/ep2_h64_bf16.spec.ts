import { defineSpec } from 'epgen';

// Small enough to build and try in seconds.
export default defineSpec({ ranks: 2, hidden: 64 });
