import { edit, type Mutant } from '../mutant.js';
import { cpuMemory, llCombine, llCount, llDispatch, llPlace, llReady, llReceive } from './files.js';
import { HOST, PULLS_ROW, STREAM } from './places.js';

const ANY_EPOCH = 'struct AnyEpoch : HasEpoch { bool holds(uint64_t) const { return true; } };';
const COUNT_STORE = 'st_relaxed_sys(counts + expert, pack_word(num_tokens, call.epoch));';
const COUNT_WAIT = 'const auto count = wait_relaxed_sys(call, site, word, HasEpoch{call.epoch});';

/** Words of low-latency calls, and the calls that they belong to. */
export const lowLatencyWords: readonly Mutant[] = [
  {
    id: 'll-ready-stored-relaxed',
    rule: 7,
    plants: 'Ready words are stored relaxed.',
    edits: [
      edit(
        llReady,
        'st_release_sys(EPGEN_FIELD(control, ready)',
        'PLANTED(); st_relaxed_sys(EPGEN_FIELD(control, ready)',
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [STREAM, PULLS_ROW] },
  },
  {
    id: 'll-ready-acquired-relaxed',
    rule: 7,
    plants: 'Ready words are awaited by relaxed loads.',
    edits: [
      edit(
        llReady,
        'const auto word = wait_acquire_sys(',
        'PLANTED(); const auto word = wait_relaxed_sys(',
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [STREAM, PULLS_ROW] },
  },
  {
    id: 'll-ready-of-an-earlier-call',
    rule: 'H11',
    plants: 'Any ready word will do, also that of an earlier call.',
    edits: [
      edit(
        llReady,
        '                                       HasEpoch{call.epoch});',
        `                                       AnyEpoch{ {call.epoch} });`,
      ),
      edit(
        llReady,
        '    const auto word = wait_acquire_sys(',
        `    PLANTED(); ${ANY_EPOCH}\n    const auto word = wait_acquire_sys(`,
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [STREAM, PULLS_ROW] },
  },
  {
    id: 'll-ready-in-half-the-buffers',
    rule: 12,
    plants: 'Ready words are written again as many calls later as may be in flight.',
    edits: [
      edit(
        llReady,
        '(call.epoch - 1) % kNumLlOutputBuffers * kNumRanks',
        '(PLANTED(), (call.epoch - 1) % (kNumLlOutputBuffers / 2)) * kNumRanks',
      ),
    ],
    spec: 'llAhead',
    expected: { detector: 'timeout' },
  },
  {
    id: 'll-words-in-half-the-buffers',
    rule: 12,
    plants: 'Counts are written again as many calls later as may be in flight.',
    edits: [
      edit(
        llDispatch,
        '(call.epoch - 1) % kNumLlCountBuffers * kNumRanks',
        '(PLANTED(), (call.epoch - 1) % (kNumLlCountBuffers / 2)) * kNumRanks',
      ),
    ],
    spec: 'llAhead',
    expected: { detector: 'timeout' },
  },
  {
    id: 'll-ready-at-gpu-scope',
    rule: 8,
    plants: 'Ready words are released at the scope of one GPU.',
    edits: [
      edit(
        cpuMemory,
        `st_release_sys(peer<uint64_t> pointer, uint64_t value, Place place = Place::here()) {
    cpu::store_word("st_release_sys", cpu::Order::release, cpu::Scope::sys,`,
        `st_release_sys(peer<uint64_t> pointer, uint64_t value, Place place = Place::here()) {
    PLANTED(); cpu::store_word("st_release_sys", cpu::Order::release, cpu::Scope::gpu,`,
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [STREAM, PULLS_ROW] },
  },
  {
    id: 'll-count-of-an-earlier-call',
    rule: 'H11',
    plants: 'A count of a lower rank is taken whatever its epoch.',
    edits: [
      edit(
        llPlace,
        COUNT_WAIT,
        `PLANTED(); ${ANY_EPOCH}\n    ${COUNT_WAIT.replace('HasEpoch{call.epoch}', 'AnyEpoch{ {call.epoch} }')}`,
      ),
    ],
    spec: 'll',
    expected: { detector: 'data' },
  },
  {
    id: 'll-received-count-of-an-earlier-call',
    rule: 'H11',
    plants: 'A receive, while it waits for arrivals, takes counts whatever their epoch.',
    edits: [
      edit(
        llReceive,
        COUNT_WAIT,
        `PLANTED(); ${ANY_EPOCH}\n        ${COUNT_WAIT.replace('HasEpoch{call.epoch}', 'AnyEpoch{ {call.epoch} }')}`,
      ),
    ],
    spec: 'll',
    expected: { detector: 'data' },
  },
  {
    id: 'll-torn-count-word',
    rule: 28,
    plants: 'A count word is stored in two halves, epoch first.',
    edits: [
      edit(
        llCount,
        COUNT_STORE,
        `const auto word = counts + expert;
            const auto half = make_pointer<Space::peer>(reinterpret_cast<uint32_t*>(word.raw), 2, "half of a count word");
            PLANTED(); st(half + 1, call.epoch);
            st(half, num_tokens);`,
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: ['st(half', COUNT_WAIT] },
  },
  {
    id: 'll-count-loaded-weakly',
    rule: 20,
    plants: 'A receive loads counts weakly.',
    edits: [
      edit(
        llReceive,
        COUNT_WAIT,
        'PLANTED(); const Waited<uint64_t> count{true, ld(word)}; (void)site;',
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [COUNT_STORE, 'count{true, ld(word)}'] },
  },
  {
    id: 'll-record-not-released',
    rule: 7,
    plants: 'The host record is completed by a relaxed store.',
    edits: [
      edit(
        cpuMemory,
        `st_release_sys(host<uint32_t> pointer, uint32_t value, Place place = Place::here()) {
    cpu::store_word("st_release_sys", cpu::Order::release,`,
        `st_release_sys(host<uint32_t> pointer, uint32_t value, Place place = Place::here()) {
    PLANTED(); cpu::store_word("st_release_sys", cpu::Order::relaxed,`,
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: ['st(EPGEN_FIELD(record, bad', HOST] },
  },
  {
    id: 'll-receive-of-the-newest',
    rule: 41,
    plants: 'A receive alone takes the epoch of the newest send, not that of its handle.',
    edits: [
      edit(
        llDispatch,
        ': ld(EPGEN_FIELD(make_local(args.handle, 1, "handle"), dispatch_epoch)),',
        ': (PLANTED(), ld(EPGEN_FIELD(control, dispatch_epoch))),',
      ),
    ],
    spec: 'llAhead',
    expected: { detector: 'data' },
  },
  {
    id: 'll-pull-of-the-newest',
    rule: 41,
    plants: 'A pull alone takes the epoch of the newest combine, not that of its handle.',
    edits: [
      edit(
        llCombine,
        ': ld(EPGEN_FIELD(handle, combine_epoch)),',
        ': (PLANTED(), ld(EPGEN_FIELD(control, combine_epoch))),',
      ),
    ],
    spec: 'llAhead',
    expected: { detector: 'data' },
  },
];
