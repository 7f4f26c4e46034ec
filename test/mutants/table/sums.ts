import { edit, type Mutant } from '../mutant.js';
import { addVector, cpuNumeric, pull, reduce, weights } from './files.js';

const spec = 'sums';
const PULLS_WEIGHTS = 'bulk_load(as_bytes(stage_weights(';

/** Biases, top-k weights, and types of the elements that combine sums. */
export const sums: readonly Mutant[] = [
  {
    id: 'biases-last',
    rule: 30,
    plants: 'Biases are added after all ranks.',
    edits: [
      edit(
        reduce,
        `                add_biases(args, accumulator, uint64_t{token_idx} * kCombineRowBytes + piece_idx * kPieceBytes,
                           num_vectors, reduce_thread_idx);\n`,
        '',
      ),
      edit(
        reduce,
        '                accumulator.write(out +',
        `                PLANTED(); add_biases(args, accumulator, uint64_t{token_idx} * kCombineRowBytes + piece_idx * kPieceBytes,
                                      num_vectors, reduce_thread_idx);
                accumulator.write(out +`,
      ),
    ],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'second-bias-first',
    rule: 30,
    plants: 'The second bias is added before the first.',
    edits: [
      edit(
        reduce,
        'if (args.bias[i] == nullptr) continue;\n        const auto bias = make_local(args.bias[i],',
        `PLANTED(); const uint8_t* const from = args.bias[kNumBiases - 1 - i];
        if (from == nullptr) continue;\n        const auto bias = make_local(from,`,
      ),
    ],
    spec,
    expected: {
      equivalent:
        'A sum begins with +0, and +0 + a + b is a + b rounded once, whichever of them comes first.',
    },
  },
  {
    id: 'second-bias-forgotten',
    rule: 30,
    plants: 'Only the first bias is added.',
    edits: [edit(reduce, 'i < kNumBiases; ++i', 'i < (PLANTED(), kNumBiases - 1); ++i')],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'bias-of-the-next-token',
    rule: 18,
    plants: 'Biases are those of the token after.',
    edits: [
      edit(
        reduce,
        'accumulator.add_bias(bias + first_byte,',
        'PLANTED(); accumulator.add_bias(bias + (first_byte + kCombineRowBytes),',
      ),
    ],
    spec,
    expected: { detector: 'fault', at: 'ld_vec16(piece + vector_idx' },
  },
  {
    id: 'f16-truncated',
    rule: 30,
    plants: 'Sums are cut off to f16, not rounded.',
    edits: [
      edit(
        cpuNumeric,
        'const uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);',
        'PLANTED(); const uint32_t rounded = magnitude;',
      ),
    ],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'f16-ties-up',
    rule: 30,
    plants: 'A sum halfway between two f16 goes up, not to the even one.',
    edits: [
      edit(
        cpuNumeric,
        'const uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);',
        'PLANTED(); const uint32_t rounded = magnitude + 0x1000;',
      ),
    ],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'f16-subnormals-lost',
    rule: 30,
    plants: 'Sums below the smallest normal f16 become zero.',
    edits: [
      edit(
        cpuNumeric,
        'return sign | (std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(0.5f));',
        'PLANTED(); return shifted < 0 ? 1 : sign;',
      ),
    ],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'f16-halves-swapped',
    rule: 18,
    plants: 'The two f16 of a word change places on their way into the sum.',
    edits: [
      edit(
        addVector,
        '{{combineType}}_lo_to_f32(vector.word[w])',
        '{{combineType}}_hi_to_f32((PLANTED(), vector.word[w]))',
      ),
      edit(
        addVector,
        '{{combineType}}_hi_to_f32(vector.word[w]));',
        '{{combineType}}_lo_to_f32(vector.word[w]));',
      ),
    ],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'weights-where-ours-lie',
    rule: 39,
    plants: 'A rank takes the top-k weights of others to lie where its own do.',
    edits: [
      edit(
        pull,
        'wait_ready_weights(call, args);',
        '(PLANTED(), wait_ready_weights(call, args).ok) ? Waited<uint64_t>{true, args.weights_offset} : Waited<uint64_t>{false, 0};',
      ),
    ],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'weights-without-parity',
    rule: 12,
    plants: 'Places of top-k weights of two consecutive combines share a word.',
    edits: [
      edit(weights, '((call.epoch & 1) * kNumRanks + args.rank_idx)', '(PLANTED(), args.rank_idx)'),
      edit(weights, '((call.epoch & 1) * kNumRanks + lane_idx())', '(PLANTED(), lane_idx())'),
    ],
    spec,
    expected: { detector: 'timeout' },
  },
  {
    id: 'weights-of-an-earlier-call',
    rule: 'H11',
    plants:
      'Top-k weights are taken from where they lay two calls ago, if the new word is not there yet.',
    edits: [
      edit(
        weights,
        `    const auto word = wait_relaxed_sys(
        call, site,`,
        `    PLANTED(); struct AnyEpoch : HasEpoch { bool holds(uint64_t) const { return true; } };
    const auto word = wait_relaxed_sys(
        call, site,`,
      ),
      edit(weights, '        HasEpoch{call.epoch});', '        AnyEpoch{ {call.epoch} });'),
    ],
    spec,
    expected: {
      equivalent:
        'The ready word of the same rank has been acquired, and its release covers the word before it: none of an earlier ' +
        'call can be read any more, and none of a later call has been written, since its writer waits for this rank first.',
    },
  },
  {
    id: 'weights-awaited-before-ready',
    rule: 39,
    plants: 'Places of top-k weights are read before the ready words, whatever epoch they are of.',
    edits: [
      edit(
        pull,
        '    const Waited<uint64_t> input = wait_ready(call, args);',
        `    PLANTED(); const Waited<uint64_t> early = wait_ready_weights(call, args);
    const Waited<uint64_t> input = wait_ready(call, args);`,
      ),
      edit(
        pull,
        'const Waited<uint64_t> weights_offset = wait_ready_weights(call, args);',
        'const Waited<uint64_t> weights_offset = early;',
      ),
      edit(
        weights,
        `    const auto word = wait_relaxed_sys(
        call, site,`,
        `    struct AnyEpoch : HasEpoch { bool holds(uint64_t) const { return true; } };
    const auto word = wait_relaxed_sys(
        call, site,`,
      ),
      edit(weights, '        HasEpoch{call.epoch});', '        AnyEpoch{ {call.epoch} });'),
    ],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'weights-not-expected',
    rule: 6,
    plants: 'A stage counts as full before the top-k weights have come that travel with it.',
    edits: [
      edit(
        pull,
        'mbarrier_arrive_expect_tx(full, bytes + weight_bytes);',
        'PLANTED(); mbarrier_arrive_expect_tx(full, bytes);',
      ),
    ],
    spec,
    expected: { detector: 'fault', at: PULLS_WEIGHTS },
  },
  {
    id: 'weights-span-too-short',
    rule: 19,
    plants:
      'The vectors that hold a row of weights are counted as if the row began with the first.',
    edits: [
      edit(
        weights,
        'const uint32_t num_vectors = (num_before + kNumTopk +',
        'PLANTED(); const uint32_t num_vectors = (kNumTopk +',
      ),
    ],
    spec,
    expected: { detector: 'data' },
  },
  {
    id: 'weights-not-rounded-down',
    rule: 19,
    plants: 'A row of weights is pulled from where it begins, a multiple of 16 bytes or not.',
    edits: [
      edit(weights, 'return {first - num_before, num_before,', 'PLANTED(); return {first, 0,'),
    ],
    spec,
    expected: { detector: 'fault', at: PULLS_WEIGHTS },
  },
  {
    id: 'weights-of-the-row-before',
    rule: 18,
    plants: 'Weights are read from the beginning of their vectors, where the row before may end.',
    edits: [
      edit(
        weights,
        '(weight_span(row).num_before + lane_idx())',
        '(PLANTED(), weight_span(row).num_before * 0 + lane_idx())',
      ),
    ],
    spec,
    expected: { detector: 'data' },
  },
];
