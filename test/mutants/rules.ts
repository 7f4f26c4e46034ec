/**
 * What kernels of this kind must hold to, each with a bug that breaks it. Numbers are stable: mutants name them. Those
 * with `leftOut` have no mutant here, for the reason given.
 */
export const rules: Readonly<Record<number, { readonly text: string; readonly leftOut?: string }>> =
  {
    1: { text: 'an arrival follows completed copies, not only copies that have read their source' },
    2: { text: 'every lane that issued copies waits for its own' },
    3: { text: 'a proxy fence stands between an acquire and the bulk load of what was acquired' },
    4: {
      text: 'a proxy fence stands between generic writes to shared memory and their bulk store',
    },
    5: { text: 'a stage goes back to the copy engine after its last read' },
    6: { text: 'parities follow from counts, so that no role laps another' },
    7: {
      text: 'what is read on the strength of a word was acquired, by the reader or before a barrier',
    },
    8: { text: 'what crosses devices is released and acquired at system scope' },
    9: { text: 'each block releases its own stores: an arrival of the last block covers no other' },
    10: { text: 'words of an earlier call are told apart, at any epoch' },
    11: { text: 'a counter that can overshoot is compared with >=, for all that must have come' },
    12: { text: 'a word is written again after its readers have read it' },
    13: { text: 'a receive buffer is written again after its last use' },
    14: { text: 'expert outputs are written again after every rank has pulled them' },
    15: { text: 'a block takes its epoch from a word that no other block advances' },
    16: {
      text: 'no block that waits depends on one that need not be resident, nor two on each other',
    },
    17: { text: 'empty calls, channels and destinations take every collective step' },
    18: { text: 'rows, tokens and pieces stay inside their own places' },
    19: { text: 'bulk copies move multiples of 16 bytes at such addresses' },
    20: { text: 'words that others write meanwhile are never loaded weakly' },
    21: {
      text: 'windows outlive what reaches them',
      leftOut: 'the host owns windows; kernels have no part in it (test/native)',
    },
    22: {
      text: 'a wait that gives up ends all ranks and leaves no copy behind',
      leftOut:
        'no schedule gives up by itself (test/kernels/abort.test.ts); the flags of that path are mutated under 7',
    },
    23: { text: 'one lane polls a word', leftOut: 'costs time, not results' },
    24: { text: 'ranks walk destinations in different orders', leftOut: 'costs time, not results' },
    25: {
      text: 'nothing is touched before the kernel that came before has ended',
      leftOut: 'kernels are not launched before their predecessor ends',
    },
    26: { text: 'nothing in the arguments changes from call to call that a replay would repeat' },
    27: { text: 'groups share no words', leftOut: 'a window belongs to one group (test/native)' },
    28: { text: 'a word of value and epoch is written at once' },
    29: { text: 'conversions to fp8 round as specified' },
    30: { text: 'slots and sums have a fixed order' },
    31: { text: 'groups of copies count the same in every lane' },
    32: {
      text: 'after a call that was given up control words start afresh',
      leftOut: 'the host does it (test/native/failure.test.ts)',
    },
    33: { text: 'arrivals of a later call cannot stand in for missing ones' },
    34: {
      text: 'with a credit no row is sent before all ranks have released their earlier work to the sender',
    },
    35: { text: 'a proxy fence stands between an acquired credit and the copies that it allows' },
    36: { text: 'a dispatch along a handle takes every collective step but the counts' },
    37: { text: 'what travels beside a row lies at the place of the row, and arrives with it' },
    38: { text: 'padding follows the rows that come, and fills what is left' },
    39: { text: 'top-k weights are found where their ready word of this call says' },
    40: { text: 'rows by expert have places that follow from counts of this call' },
    41: { text: 'half a call goes on with the epoch and the handle of its other half' },
    42: { text: 'a token goes to an expert once, and counts once, however often it chose it' },
    43: { text: 'a receive tells what came, and nothing before it does' },
    44: { text: 'a selection is weighted with its own weight' },
  };

/** Kinds of bugs that libraries of this kind shipped, beyond the rules above. */
export const shippedBugs = {
  H1: 'a lane beyond the ranks reads an array of one entry per rank before its guard is evaluated',
  H2: 'shared memory changes between generic accesses and the copy engine without a proxy fence',
  H6: 'epochs on the device that race with blocks that start late',
  H9: 'epochs or parities counted on the host, which a replay repeats',
  H11: 'a signal of an earlier call is taken for one of this call',
  H13: 'a warp barrier is missing before one lane announces what the warp did',
  H17: 'a call without tokens returns early and skips collective steps',
} as const;

/** A rule by its number, or a shipped bug. */
export type Rule = number | keyof typeof shippedBugs;
