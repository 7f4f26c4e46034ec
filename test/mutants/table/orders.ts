import { edit, type Mutant } from '../mutant.js';
import { announce, cpuMemory, cpuWait, dispatch, pull, receive } from './files.js';
import { PULLS_ROW, READS_PREFIX, STORES_PREFIX, STORES_ROW, STREAM } from './places.js';

const ARRIVAL =
  'red_add_release_sys(EPGEN_FIELD(peer_control, arrivals) + args.rank_idx, num_channels);';

/** Releases and acquires: their order, their scope, and whose stores they cover. */
export const orders: readonly Mutant[] = [
  {
    id: 'arrivals-acquired-relaxed',
    rule: 7,
    plants: 'Arrivals are awaited by relaxed loads.',
    edits: [
      edit(
        receive,
        'const auto arrived = wait_acquire_sys(',
        'PLANTED(); const auto arrived = wait_relaxed_sys(',
      ),
    ],
    expected: { detector: 'race', between: [STORES_PREFIX, READS_PREFIX] },
  },
  {
    id: 'ready-acquired-relaxed',
    rule: 7,
    plants: 'Ready words are awaited by relaxed loads.',
    edits: [
      edit(
        pull,
        'const auto word = wait_acquire_sys(',
        'PLANTED(); const auto word = wait_relaxed_sys(',
      ),
    ],
    expected: { detector: 'race', between: [STREAM, PULLS_ROW] },
  },
  {
    id: 'ready-stored-relaxed',
    rule: 7,
    plants: 'Ready words are stored relaxed.',
    edits: [
      edit(
        pull,
        'st_release_sys(EPGEN_FIELD(control, ready)',
        'PLANTED(); st_relaxed_sys(EPGEN_FIELD(control, ready)',
      ),
    ],
    expected: { detector: 'race', between: [STREAM, PULLS_ROW] },
  },
  {
    id: 'arrivals-posted-relaxed',
    rule: 7,
    plants: 'Arrivals are added relaxed.',
    edits: [
      edit(
        cpuMemory,
        'cpu::update("red_add_release_sys", cpu::Order::release, cpu::Scope::sys,',
        'PLANTED(); cpu::update("red_add_release_sys", cpu::Order::relaxed, cpu::Scope::sys,',
      ),
    ],
    expected: { detector: 'race', between: [STORES_PREFIX, READS_PREFIX] },
  },
  {
    id: 'arrivals-posted-at-gpu-scope',
    rule: 8,
    plants: 'Arrivals are released at the scope of one GPU.',
    edits: [
      edit(
        cpuMemory,
        'cpu::update("red_add_release_sys", cpu::Order::release, cpu::Scope::sys,',
        'PLANTED(); cpu::update("red_add_release_sys", cpu::Order::release, cpu::Scope::gpu,',
      ),
    ],
    expected: { detector: 'race', between: [STORES_PREFIX, READS_PREFIX] },
  },
  {
    id: 'ready-stored-at-gpu-scope',
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
    expected: { detector: 'race', between: [STREAM, PULLS_ROW] },
  },
  {
    id: 'acquired-at-gpu-scope',
    rule: 8,
    plants: 'Waits acquire at the scope of one GPU.',
    edits: [
      edit(
        cpuWait,
        'return cpu::wait_word("wait_acquire_sys", simt::Order::acquire, simt::Scope::sys,',
        'PLANTED(); return cpu::wait_word("wait_acquire_sys", simt::Order::acquire, simt::Scope::gpu,',
      ),
    ],
    expected: { detector: 'race', between: [STORES_PREFIX, READS_PREFIX] },
  },
  {
    id: 'last-block-arrives-for-all',
    rule: 9,
    plants:
      'The last block posts the arrivals of all, ordered after them by a relaxed ticket only.',
    edits: [
      edit(announce, ARRIVAL, '(void)peer_control;'),
      edit(
        announce,
        '        if (is_last) receive_rows(call, args);',
        `        if (is_last && lane_idx() < kNumRanks) {
            const auto peer_control = peer_region(args.windows, lane_idx(), kControl);
            PLANTED(); red_add_release_sys(EPGEN_FIELD(peer_control, arrivals) + args.rank_idx, kNumChannels);
        }
        if (is_last) receive_rows(call, args);`,
      ),
    ],
    expected: { detector: 'race', between: [STORES_PREFIX, READS_PREFIX] },
  },
  {
    id: 'arrival-before-copies',
    rule: 1,
    plants: 'Each block posts its arrivals before it moves rows.',
    edits: [
      edit(announce, ARRIVAL, '(void)peer_control;'),
      edit(
        dispatch,
        '    // Move rows.',
        `    if (thread_idx() < kNumRanks) {
        const auto early_control = peer_region(args.windows, thread_idx(), kControl);
        PLANTED(); red_add_release_sys(EPGEN_FIELD(early_control, arrivals) + args.rank_idx, num_channels);
    }
    // Move rows.`,
      ),
    ],
    expected: { detector: 'race', between: [STORES_ROW, STREAM] },
  },
  {
    id: 'arrivals-not-awaited',
    rule: 7,
    plants: 'The last block reads what other ranks wrote without waiting for their arrivals.',
    edits: [
      edit(
        receive,
        `    const auto arrived = wait_acquire_sys(call, site, EPGEN_FIELD(control, arrivals) + source,
                                          AtLeast{call.epoch * kNumChannels});
    if (!arrived.ok || group_gave_up(call)) return;`,
        '    PLANTED(); if (group_gave_up(call)) return;',
      ),
    ],
    expected: { detector: 'race', between: [STORES_PREFIX, READS_PREFIX] },
  },
  {
    id: 'lane-0-awaits-all-arrivals',
    rule: 7,
    plants:
      'Lane 0 acquires the arrivals of all ranks and a vote tells the others, which orders nothing.',
    edits: [
      edit(
        receive,
        `    if (source >= kNumRanks) return;
    const Site site{Phase::arrivals, static_cast<int32_t>(source), -1};
    // Acquires all kNumChannels releases of this source: its rows, and its line of the prefix.
    const auto arrived = wait_acquire_sys(call, site, EPGEN_FIELD(control, arrivals) + source,
                                          AtLeast{call.epoch * kNumChannels});
    if (!arrived.ok || group_gave_up(call)) return;`,
        `    bool ok = true;
    for (uint32_t s = 0; lane_idx() == 0 && s < kNumRanks && ok; ++s) {
        PLANTED();
        const Site site{Phase::arrivals, static_cast<int32_t>(s), -1};
        ok = wait_acquire_sys(call, site, EPGEN_FIELD(control, arrivals) + s, AtLeast{call.epoch * kNumChannels}).ok;
    }
    if (!all(ok) || source >= kNumRanks || group_gave_up(call)) return;`,
      ),
    ],
    expected: { detector: 'race', between: [STORES_PREFIX, READS_PREFIX] },
  },
  {
    id: 'lane-0-acquires-all-ready',
    rule: 7,
    plants:
      'Lane 0 acquires the ready words of all ranks and shuffles the offsets to the lanes that pull.',
    edits: [
      edit(
        pull,
        `wait_ready(const Call& call, const CombineArgs& args) {
    if (lane_idx() >= kNumRanks) return {true, 0};`,
        'wait_ready(const Call& call, const CombineArgs& args, uint32_t source) {',
      ),
      edit(
        pull,
        'const Site site{Phase::ready, static_cast<int32_t>(lane_idx()), -1};',
        'const Site site{Phase::ready, static_cast<int32_t>(source), -1};',
      ),
      edit(
        pull,
        '((call.epoch & 1) * kNumRanks + lane_idx()), HasEpoch',
        '((call.epoch & 1) * kNumRanks + source), HasEpoch',
      ),
      edit(
        pull,
        '    const Waited<uint64_t> input = wait_ready(call, args);',
        `    Waited<uint64_t> input{true, 0};
    for (uint32_t s = 0; s < kNumRanks; ++s) {
        Waited<uint64_t> word{true, 0};
        if (lane_idx() == 0) word = wait_ready(call, args, s);
        PLANTED();
        const uint32_t unit = shfl(static_cast<uint32_t>(word.value / kReadyUnit), 0);
        if (!all(word.ok)) return false;
        if (lane_idx() == s) input.value = uint64_t{unit} * kReadyUnit;
    }
    fence_proxy_async();`,
      ),
    ],
    expected: { detector: 'race', between: [STREAM, PULLS_ROW] },
  },
];
