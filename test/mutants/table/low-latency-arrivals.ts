import { edit, type Mutant } from '../mutant.js';
import { cpuMemory, cpuWait, llReceive, llSend, resetLl } from './files.js';
import { LL_STORES_ROW, STREAM } from './places.js';

const ARRIVAL =
  'red_add_release_sys(EPGEN_FIELD(control, arrivals) + args.rank_idx, num_channels);';
const ARRIVALS_WAIT = `const auto arrived = wait_acquire_sys(call, site, EPGEN_FIELD(control, arrivals) + lane_idx(),
                                          AtLeast{call.epoch * kNumLlChannels});`;

/** Arrivals of low-latency dispatches. */
export const lowLatencyArrivals: readonly Mutant[] = [
  {
    id: 'll-arrivals-acquired-relaxed',
    rule: 7,
    plants: 'Arrivals are awaited by relaxed loads.',
    edits: [
      edit(llReceive, ARRIVALS_WAIT, `PLANTED(); ${ARRIVALS_WAIT.replace('acquire', 'relaxed')}`),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [LL_STORES_ROW, STREAM] },
  },
  {
    id: 'll-arrivals-posted-relaxed',
    rule: 7,
    plants: 'Arrivals are added relaxed.',
    edits: [
      edit(
        cpuMemory,
        'cpu::update("red_add_release_sys", cpu::Order::release, cpu::Scope::sys,',
        'PLANTED(); cpu::update("red_add_release_sys", cpu::Order::relaxed, cpu::Scope::sys,',
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [LL_STORES_ROW, STREAM] },
  },
  {
    id: 'll-arrival-at-gpu-scope',
    rule: 8,
    plants: 'Arrivals are released at the scope of one GPU.',
    edits: [
      edit(
        cpuMemory,
        'cpu::update("red_add_release_sys", cpu::Order::release, cpu::Scope::sys,',
        'PLANTED(); cpu::update("red_add_release_sys", cpu::Order::release, cpu::Scope::gpu,',
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [LL_STORES_ROW, STREAM] },
  },
  {
    id: 'll-acquired-at-gpu-scope',
    rule: 8,
    plants: 'Waits acquire at the scope of one GPU.',
    edits: [
      edit(
        cpuWait,
        'return cpu::wait_word("wait_acquire_sys", simt::Order::acquire, simt::Scope::sys,',
        'PLANTED(); return cpu::wait_word("wait_acquire_sys", simt::Order::acquire, simt::Scope::gpu,',
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [LL_STORES_ROW, STREAM] },
  },
  {
    id: 'll-one-channel-is-enough',
    rule: 11,
    plants: 'A receive ends when one channel of each rank has delivered.',
    edits: [
      edit(
        llReceive,
        'AtLeast{call.epoch * kNumLlChannels});',
        'AtLeast{(PLANTED(), call.epoch * kNumLlChannels - kNumLlChannels + 1)});',
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [LL_STORES_ROW, STREAM] },
  },
  {
    id: 'll-arrivals-not-awaited',
    rule: 7,
    plants: 'A receive ends without waiting for arrivals.',
    edits: [
      edit(llReceive, ARRIVALS_WAIT, 'PLANTED(); (void)site; (void)control;'),
      edit(llReceive, 'return arrived.ok && !group_gave_up(call);', 'return true;'),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [LL_STORES_ROW, STREAM] },
  },
  {
    id: 'll-lane-0-awaits-one-source',
    rule: 7,
    plants: 'Every lane waits for the arrivals of the rank itself.',
    edits: [
      edit(
        llReceive,
        ARRIVALS_WAIT,
        `PLANTED(); ${ARRIVALS_WAIT.replace('+ lane_idx()', '+ args.rank_idx')}`,
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [LL_STORES_ROW, STREAM] },
  },
  {
    id: 'll-one-arrival-less',
    rule: 11,
    plants: 'The wait for arrivals expects one fewer than there are channels.',
    edits: [
      edit(
        llReceive,
        'AtLeast{call.epoch * kNumLlChannels});',
        'AtLeast{(PLANTED(), call.epoch * kNumLlChannels - 1)});',
      ),
    ],
    spec: 'll',
    expected: { detector: 'race', between: [LL_STORES_ROW, STREAM] },
  },
  {
    id: 'll-arrivals-awaited-exactly',
    rule: 11,
    plants: 'Arrivals are awaited by ==: a rank that is ahead takes the counter past it.',
    edits: [
      edit(
        llReceive,
        ARRIVALS_WAIT,
        `PLANTED(); struct Exactly : AtLeast { bool holds(uint32_t word) const { return word == count; } };
    ${ARRIVALS_WAIT.replace('AtLeast{call.epoch * kNumLlChannels}', 'Exactly{ {call.epoch * kNumLlChannels} }')}`,
      ),
    ],
    spec: 'llAhead',
    expected: { detector: 'timeout' },
  },
  {
    id: 'll-one-counter-for-all-sources',
    rule: 33,
    plants:
      'All sources add their arrivals to one counter: two calls of one pass for one call of two.',
    edits: [
      edit(llSend, ARRIVAL, ARRIVAL.replace('+ args.rank_idx', '+ 0')),
      edit(
        llReceive,
        ARRIVALS_WAIT,
        `PLANTED(); ${ARRIVALS_WAIT.replace('+ lane_idx()', '+ 0').replace('kNumLlChannels}', 'kNumLlChannels * kNumRanks}')}`,
      ),
      edit(
        resetLl,
        'std::fill(std::begin(control.arrivals), std::end(control.arrivals), epoch * kNumLlChannels);',
        'std::fill(std::begin(control.arrivals), std::end(control.arrivals), epoch * kNumLlChannels * kNumRanks);',
      ),
    ],
    spec: 'llAhead',
    expected: { detector: 'race', between: [LL_STORES_ROW, STREAM] },
  },
  {
    id: 'll-one-arrival-per-block',
    rule: 17,
    plants: 'A block that works several channels posts one arrival for all of them.',
    edits: [edit(llSend, ARRIVAL, `PLANTED(); ${ARRIVAL.replace('num_channels', '1')}`)],
    spec: 'll',
    expected: { detector: 'timeout' },
  },
];
