import { defineSpec } from 'epgen';

// Every other field at its default: 256 experts, top-8, bf16, 16 channels.
export default defineSpec({ ranks: 8, hidden: 7168 });
