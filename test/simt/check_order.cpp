// What orders the accesses of threads, and what doesn't: words, barriers, votes, kernels.
#include "check.hpp"

namespace epgen::test {

/// Rank 0 writes a byte of rank 1 and raises a flag, rank 1 waits for the flag and reads.
static void message_body(const Args& args) {
    if (thread_idx() != 0) return;
    const uint32_t mistake = args.parameter;
    if (args.rank_idx == 0) {
        const auto word = EPGEN_FIELD(args.control_of(1), word);
        if (mistake != 5) FIRST(st(data_of(args, 1), 7));
        if (mistake == 1) {
            st_relaxed_sys(word, pack_word(1, 1));
        } else if (mistake == 3) {
            cpu::store_word("st_release_gpu", simt::Order::release, simt::Scope::gpu, word, pack_word(1, 1),
                            Place::here());
        } else {
            st_release_sys(word, pack_word(1, 1));
        }
        if (mistake == 5) FIRST(st(data_of(args, 1), 7));
    } else {
        const auto word = EPGEN_FIELD(args.control(), word);
        if (mistake == 2) {
            wait_relaxed_sys(args.call(), site(), word, HasEpoch{1});
        } else if (mistake == 4) {
            cpu::wait_word("wait_acquire_gpu", simt::Order::acquire, simt::Scope::gpu, args.call(), site(), word,
                           HasEpoch{1}, Place::here());
        } else {
            wait_acquire_sys(args.call(), site(), word, HasEpoch{1});
        }
        SECOND(ld(own_data(args)));
    }
}
EPGEN_KERNEL(message, Args, message_body, 32, uint32_t)

CASE("release and acquire order a message") {
    expect_clean({message_entry, 2}, 0);
    expect_race({message_entry, 2}, 5, "no synchronisation between them");
}

CASE("a relaxed store or a relaxed wait orders no message") {
    expect_race({message_entry, 2}, 1, "the store at check_order.cpp:");
    expect_race({message_entry, 2}, 1, "is relaxed where a release would order them");
    expect_race({message_entry, 2}, 2, "the load at check_order.cpp:");
    expect_race({message_entry, 2}, 2, "is relaxed where an acquire would order them");
}

/// The flag's accesses race too, since weak or narrow ones don't reach the other rank.
static void expect_narrow(uint32_t parameter, const std::string& remedy) {
    const auto races = races_of({message_entry, 2}, parameter, 1);
    bool is_named = false;
    for (const RaceReport& race : races) {
        const bool is_data = race.first.what == "st" && race.second.what == "ld";
        is_named |= is_data && race.remedy.find(remedy) != std::string::npos;
    }
    expect(is_named, "expected \"" + remedy + "\" in " + texts(races));
}

CASE("a scope that ends at the device orders nothing across ranks") {
    expect_narrow(3, "the scope of the release at check_order.cpp:");
    expect_narrow(4, "the scope of the acquire at check_order.cpp:");
}

/// Threads 0 and 40 of rank 0, in different warps and at the same device.
static void device_body(const Args& args) {
    const auto word = EPGEN_FIELD(args.control_of(0), word);
    if (thread_idx() == 0) {
        FIRST(st(own_data(args), 7));
        cpu::store_word("st_release", simt::Order::release, args.parameter == 0 ? simt::Scope::gpu : simt::Scope::block,
                        word, pack_word(1, 1), Place::here());
    } else if (thread_idx() == 40) {
        cpu::wait_word("wait_acquire", simt::Order::acquire, simt::Scope::gpu, args.call(), site(),
                       EPGEN_FIELD(args.control(), word), HasEpoch{1}, Place::here());
        SECOND(ld(own_data(args)));
    }
}
EPGEN_KERNEL(device, Args, device_body, 64, uint32_t)

CASE("scopes of device and block reach their own threads") {
    expect_clean({device_entry, 1}, 0);
    expect_clean({device_entry, 1}, 1);
}

/// Ranks 0 and 1 each write a byte of rank 2 and count.
static void sequence_body(const Args& args) {
    if (thread_idx() != 0) return;
    const auto counter = EPGEN_FIELD(args.control_of(2), counter);
    if (args.rank_idx == 0) {
        FIRST(st(data_of(args, 2), 7));
        red_add_release_sys(counter, 1);
    } else if (args.rank_idx == 1) {
        st(data_of(args, 2) + 64, 7);
        red_add_release_sys(counter, 1);
    } else {
        if (args.parameter == 1) {
            wait_acquire_sys(args.call(), site(), EPGEN_FIELD(args.control(), counter), AtLeast{1});
            SECOND(ld(own_data(args)));
        } else {
            wait_acquire_sys(args.call(), site(), EPGEN_FIELD(args.control(), counter), AtLeast{2});
            ld(own_data(args));
            ld(own_data(args) + 64);
        }
    }
}
EPGEN_KERNEL(sequence, Args, sequence_body, 32, uint32_t)

CASE("one acquire of a counter synchronises with all additions in it") {
    expect_clean({sequence_entry, 3}, 0);
    // Waiting for one addition, whoever made it, isn't enough; some schedules show the other one first.
    uint32_t num_found = 0;
    for (uint64_t seed = 1; seed <= 30; ++seed) num_found += races_of({sequence_entry, 3}, 1, seed).size();
    expect(num_found > 0, "found in none of 30 schedules");
}

/// Rank 0 releases, rank 1 acquires and then writes the word in its own way, rank 2 acquires that.
static void relay_body(const Args& args) {
    if (thread_idx() != 0) return;
    const uint32_t mistake = args.parameter;
    if (args.rank_idx == 0) {
        if (block_idx() != 0) return;
        FIRST(st(data_of(args, 1), 7));
        red_add_release_sys(EPGEN_FIELD(args.control_of(1), counter), 1);
        st_release_sys(EPGEN_FIELD(args.control_of(1), word), pack_word(1, 1));
    } else {
        const auto word = EPGEN_FIELD(args.control(), word);
        const auto counter = EPGEN_FIELD(args.control(), counter);
        if (block_idx() == 0) {
            wait_acquire_sys(args.call(), site(), word, HasEpoch{1});
            if (mistake == 0) {
                cpu::update("red_add_relaxed_sys", simt::Order::relaxed, simt::Scope::sys, counter, simt::Update::add,
                            1, Place::here());
            }
            if (mistake == 1) st_relaxed_sys(EPGEN_FIELD(args.control_of(1), word), pack_word(1, 2));
            if (mistake == 2) st_release_sys(EPGEN_FIELD(args.control_of(1), word), pack_word(1, 2));
        } else {
            if (mistake == 0) {
                wait_acquire_sys(args.call(), site(), counter, AtLeast{2});
            } else {
                wait_acquire_sys(args.call(), site(), word, HasEpoch{2});
            }
            SECOND(ld(own_data(args)));
        }
    }
}
EPGEN_KERNEL(relay, Args, relay_body, 32, uint32_t)

CASE("a relaxed addition keeps the release sequence, a relaxed store ends it") {
    expect_clean({relay_entry, 2, 2}, 0);
    expect_clean({relay_entry, 2, 2}, 2);
    expect_race({relay_entry, 2, 2}, 1, "the store at check_order.cpp:");
}

/// A counter that wraps while it counts messages.
static void wrap_body(const Args& args) {
    if (thread_idx() != 0) return;
    if (args.rank_idx == 0) {
        FIRST(st(data_of(args, 1), 7));
        red_add_release_sys(EPGEN_FIELD(args.control_of(1), counter), 3);
    } else {
        wait_acquire_sys(args.call(), site(), EPGEN_FIELD(args.control(), counter),
                         AtLeast{args.parameter == 0 ? 1u : 0xfffffffeu});
        SECOND(ld(own_data(args)));
    }
}
EPGEN_KERNEL(wrap, Args, wrap_body, 32, uint32_t)

CASE("a wait for a count beyond the wrap is one for the addition that gets there") {
    for (uint32_t parameter = 0; parameter < 2; ++parameter) {
        uint32_t num_found = 0;
        for (uint64_t seed = 1; seed <= 8; ++seed) {
            CheckedGroup checked(2, seed);
            checked.group.control(1).counter = 0xfffffffe;
            checked.group.enqueue_all(wrap_entry, 1, parameter);
            expect(checked.group.wait() == Status::done, checked.group.fault().message);
            num_found += checked.races.size();
        }
        expect((num_found > 0) == (parameter == 1), std::to_string(num_found) + " races");
    }
}

struct Words {
    uint32_t words[64];
    uint8_t bytes[64];
};

/// Every thread reads what another one wrote before the rendezvous.
static void rendezvous_body(const Args& args) {
    const auto words = EPGEN_FIELD(shared_memory<Words>(), words);
    FIRST(st(words + thread_idx(), thread_idx()));
    switch (args.parameter) {
        case 0:
        case 1: sync_block(); break;
        case 2:
        case 3: sync_warp(); break;
        case 4: ballot(true); break;
        case 5: all(true); break;
        case 6: shfl(thread_idx(), 0); break;
    }
    const uint32_t other = args.parameter % 2 == 1 && args.parameter < 4 ? thread_idx() ^ 32 : thread_idx() ^ 1;
    SECOND(ld(words + other));
}
EPGEN_KERNEL(rendezvous, Args, rendezvous_body, 64, Words)

CASE("sync_block orders the block, sync_warp the warp") {
    expect_clean({rendezvous_entry, 2, 2}, 0);
    expect_clean({rendezvous_entry, 2, 2}, 1);
    expect_clean({rendezvous_entry, 2, 2}, 2);
    expect_race({rendezvous_entry, 2, 2}, 3, "no synchronisation between them");
}

CASE("votes and shuffles order nothing") {
    for (uint32_t parameter : {4, 5, 6}) {
        expect_race({rendezvous_entry, 1}, parameter, "a vote or shuffle, as at check_order.cpp:");
        expect_race({rendezvous_entry, 1}, parameter, "sync_warp does");
    }
}

/// What one lane acquires, the others have only after a barrier.
static void one_waits_body(const Args& args) {
    if (args.rank_idx == 0) {
        if (thread_idx() != 0) return;
        FIRST(st(data_of(args, 1), 7));
        st_release_sys(EPGEN_FIELD(args.control_of(1), word), pack_word(1, 1));
    } else {
        if (lane_idx() == 0) {
            wait_acquire_sys(args.call(), site(), EPGEN_FIELD(args.control(), word), HasEpoch{1});
        }
        if (args.parameter == 0) sync_warp();
        if (args.parameter == 1) all(true);
        if (lane_idx() == 5) SECOND(ld(own_data(args)));
    }
}
EPGEN_KERNEL(one_waits, Args, one_waits_body, 32, Words)

CASE("what one lane acquires reaches the others by sync_warp, not by a vote") {
    expect_clean({one_waits_entry, 2}, 0);
    expect_race({one_waits_entry, 2}, 1, "a vote or shuffle, as at check_order.cpp:");
}

/// Blocks of one launch aren't ordered by running one after the other.
static void blocks_body(const Args& args) {
    if (thread_idx() != 0) return;
    if (block_idx() == 0) FIRST(st(own_data(args) + args.parameter * 4, 7));
    if (block_idx() == 1) SECOND(st(own_data(args), 8));
}
EPGEN_KERNEL(blocks, Args, blocks_body, 32, Words)

CASE("blocks are not ordered by running one after the other") {
    expect_clean({blocks_entry, 1, 2}, 1);
    expect_race({blocks_entry, 1, 2}, 0, "no synchronisation between them");
}

static void writer_body(const Args& args) {
    if (thread_idx() == args.parameter) FIRST(st(data_of(args, 1), 7));
}
EPGEN_KERNEL(writer, Args, writer_body, 64, Words)
static void reader_body(const Args& args) {
    if (thread_idx() == args.parameter) SECOND(ld(own_data(args)));
}
EPGEN_KERNEL(reader, Args, reader_body, 64, Words)

CASE("the end of a kernel orders what follows on its own stream, not on another rank's") {
    for (uint64_t seed = 1; seed <= 4; ++seed) {
        CheckedGroup own(2, seed);
        own.group.machine->hold();
        own.group.enqueue(1, writer_entry, 1, 0);
        own.group.enqueue(1, reader_entry, 2, 40);
        own.group.enqueue(1, writer_entry, 1, 33);
        own.group.machine->release();
        expect(own.group.wait() == Status::done, own.group.fault().message);
        expect(own.races.empty(), "own stream: " + texts(own.races));

        CheckedGroup other(2, seed);
        other.group.machine->hold();
        other.group.enqueue(0, writer_entry, 1, 0);
        other.group.machine->enqueue(1, Delay{1'000'000});
        other.group.enqueue(1, reader_entry, 1, 0);
        other.group.machine->release();
        expect(other.group.wait() == Status::done, other.group.fault().message);
        expect_one(other.races, "the end of a kernel orders nothing for other ranks", "");
    }
}

CASE("stream tasks are ordered with the kernels of their rank only") {
    for (uint32_t rank_idx = 0; rank_idx < 2; ++rank_idx) {
        CheckedGroup checked(2);
        checked.group.machine->hold();
        checked.group.machine->enqueue(1, Fill{checked.group.data(1), 3, 64});
        if (rank_idx == 0) checked.group.machine->enqueue(0, Delay{1'000'000});
        checked.group.enqueue(rank_idx, writer_entry, 1, 0);
        if (rank_idx == 0) checked.group.machine->enqueue(1, Delay{4'000'000});
        checked.group.machine->enqueue(1, Download{checked.group.data(1), 64, {}});
        checked.group.machine->release();
        expect(checked.group.wait() == Status::done, checked.group.fault().message);
        if (rank_idx == 1) {
            expect(checked.races.empty(), "own stream: " + texts(checked.races));
        } else {
            expect(checked.races.size() == 2, texts(checked.races));
            for (const RaceReport& race : checked.races) {
                constexpr auto kStream = simt::Agent::stream;
                expect(race.first.agent == kStream || race.second.agent == kStream, race.text());
            }
        }
    }
}

CASE("the caller, who waited for all streams, orders what it enqueues next") {
    CheckedGroup checked(2);
    checked.group.enqueue(0, writer_entry, 1, 0);
    expect(checked.group.wait() == Status::done, checked.group.fault().message);
    checked.group.enqueue(1, reader_entry, 1, 0);
    expect(checked.group.wait() == Status::done, checked.group.fault().message);
    expect(checked.races.empty(), texts(checked.races));
}

/// Threads write neighbouring bytes, or the same.
static void bytes_body(const Args& args) {
    const auto bytes = EPGEN_FIELD(shared_memory<Words>(), bytes);
    if (thread_idx() == 1) FIRST(st(bytes + 5, 1));
    if (thread_idx() == 2) SECOND(st(bytes + (args.parameter == 0 ? 6 : 5), 2));
    st(bytes + 32 + thread_idx() % 32, 3);
    sync_block();
    if (args.parameter == 0) ld_vec16(bytes);
}
EPGEN_KERNEL(bytes, Args, bytes_body, 32, Words)

CASE("neighbouring bytes of one word are no race, the same byte is") {
    expect_clean({bytes_entry, 1}, 0);
    expect_race({bytes_entry, 1}, 1, "no synchronisation between them");
}

/// Strong accesses of one word need no order among themselves, but one with weak accesses.
static void strong_body(const Args& args) {
    const auto word = EPGEN_FIELD(shared_memory<Words>(), words);
    if (thread_idx() == 0) FIRST(st(word, 0));
    if (args.parameter == 0) sync_block();
    if (args.parameter == 0 || thread_idx() == 7) SECOND(red_add_shared(word, 1));
    sync_block();
    ld(word);
}
EPGEN_KERNEL(strong, Args, strong_body, 64, Words)

CASE("atomics race with weak accesses only") {
    expect_clean({strong_entry, 1}, 0);
    expect_race({strong_entry, 1}, 1, "no synchronisation between them");
}

/// A strong store of 64 bits, and a strong wait for one half of them or for all.
static void halves_body(const Args& args) {
    if (thread_idx() != 0) return;
    if (args.rank_idx == 0) {
        FIRST(st_relaxed_sys(EPGEN_FIELD(args.control_of(1), word), pack_word(1, 1)));
        return;
    }
    const auto word = EPGEN_FIELD(args.control(), word);
    if (args.parameter == 2) {
        wait_relaxed_sys(args.call(), site(), word, HasEpoch{1});
        return;
    }
    const auto half = make_local(reinterpret_cast<uint32_t*>(word.raw), 2, "half") + args.parameter;
    SECOND(wait_relaxed_sys(args.call(), site(), half, AtLeast{1}));
}
EPGEN_KERNEL(halves, Args, halves_body, 32, Words)

CASE("strong accesses of different bytes of a word race") {
    expect_race({halves_entry, 2}, 0, "no synchronisation between them");
    expect_race({halves_entry, 2}, 1, "no synchronisation between them");
    expect_clean({halves_entry, 2}, 2);
}

/// The first write is weak; atomics that are ordered after it don't make others ordered.
static void hidden_body(const Args& args) {
    const auto word = EPGEN_FIELD(shared_memory<Words>(), words);
    if (thread_idx() == 0) {
        FIRST(st(word, 0));
        red_add_shared(word, 1);
    }
    if (args.parameter == 0) sync_block();
    if (thread_idx() == 40) SECOND(red_add_shared(word, 1));
}
EPGEN_KERNEL(hidden, Args, hidden_body, 64, Words)

CASE("an atomic doesn't hide the weak store before it") {
    expect_clean({hidden_entry, 1}, 0);
    expect_race({hidden_entry, 1}, 1, "no synchronisation between them");
}

/// Many readers, one of them late.
static void readers_body(const Args& args) {
    const auto words = EPGEN_FIELD(shared_memory<Words>(), words);
    for (uint32_t round = 0; round < 3; ++round) {
        FIRST(ld(words));
        if (args.parameter == 0 || round < 2) sync_block();
        if (thread_idx() == 0) SECOND(st(words, round));
        sync_block();
    }
}
EPGEN_KERNEL(readers, Args, readers_body, 1024, Words)

CASE("a write is compared with each of 1024 readers") {
    expect_clean({readers_entry, 1}, 0);
    expect_race({readers_entry, 1}, 1, "no synchronisation between them");
}

/// Lanes leave a record in mapped host memory, lane 0 tells the host that it is there.
static void record_body(const Args& args) {
    const auto record = make_host(reinterpret_cast<uint32_t*>(args.fault), sizeof(FaultRecord) / 4, "record");
    if (lane_idx() < 8) FIRST(st(record + (lane_idx() + 1), 7));
    if (args.parameter != 1) sync_warp();
    if (lane_idx() != 0) return;
    if (args.parameter != 2) return st_release_sys(record, 1);
    cpu::store_word("st_relaxed_sys", simt::Order::relaxed, simt::Scope::sys, record, 1u, Place::here());
    simt::report_host_store(record.raw);
}
EPGEN_KERNEL(record, Args, record_body, 32, uint32_t)

static std::vector<RaceReport> host_races(uint32_t parameter, uint64_t seed) {
    CheckedGroup checked(1, seed);
    Group& group = checked.group;
    group.machine->add_region({"records", 0, group.records, sizeof group.records});
    group.on_host_store = [&](const void* tag) {
        group.machine->host_reads(0, tag, group.records, sizeof(FaultRecord));
    };
    group.enqueue_all(record_entry, 1, parameter);
    group.wait();
    expect(group.host_stores.size() == 1, "the host was told " + std::to_string(group.host_stores.size()) + " times");
    return checked.races;
}

CASE("the host reads what was released to it") {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
        expect(host_races(0, seed).empty(), texts(host_races(0, seed)));
        for (const uint32_t mistake : {1, 2}) {
            const auto races = host_races(mistake, seed);
            expect(races.size() == 1 && races[0].second.agent == simt::Agent::host && races[0].first.line == first_line,
                   "mistake " + std::to_string(mistake) + ": " + texts(races));
        }
    }
}

CASE("a race is reported once, with both places, the bytes and both threads") {
    const auto races = races_of({rendezvous_entry, 1, 2}, 6, 1);
    expect(races.size() == 1, texts(races));
    if (races.empty()) return;
    const RaceReport& race = races[0];
    expect(race.first.file == "check_order.cpp" && race.second.file == "check_order.cpp", race.text());
    expect(race.first.object == "shared_memory<Words>().words", race.text());
    expect(race.first.rank_idx == 0 && race.first.warp_idx == race.second.warp_idx, race.text());
    expect((race.first.lane_idx ^ 1) == race.second.lane_idx, race.text());
    expect(race.first.proxy == simt::Proxy::generic && race.first.agent == simt::Agent::thread, race.text());
    const uint32_t word = race.first.is_write ? race.first.lane_idx : race.second.lane_idx;
    expect_contains(race.address, "shared memory of rank 0 block ");
    expect_contains(race.address, " + " + std::to_string((race.first.warp_idx * 32 + word) * 4));
    expect_contains(race.text(), "st of \"shared_memory<Words>().words\" at check_order.cpp:");
}

}  // namespace epgen::test
