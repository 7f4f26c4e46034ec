// What a litmus program sees: its words, rows and registers, wherever its roles run.
//
// Many instances of a program run side by side. A role of a block is played by `num_lanes` threads, each in an instance
// of its own. Words and rows lie in the window of a role's rank, registers in that of the rank that sets them.
#pragma once

#include "scoped.cuh"

namespace epgen::litmus {

constexpr uint32_t kMaxRoles = 4;
constexpr uint32_t kMaxWords = 3;
constexpr uint32_t kMaxRegisters = 4;
constexpr uint32_t kMaxValue = 3;   // of a register: anything above what programs write
constexpr uint32_t kMaxThreads = 128;  // of a block whose program uses shared memory
constexpr uint32_t kRowBytes = 64;
constexpr uint32_t kLineBytes = 128;

enum Word : uint32_t { X, Y, Z };

constexpr int kAny = -1;
constexpr int kNoWord = -1;

/// A register: the outcome that a test asks about has the value `asked` in it.
struct Register {
    const char* name = nullptr;
    int asked = kAny;
    int final_word = kNoWord;  // it holds what this word holds in the end; otherwise a role sets it
};

/// What a program is, beside its code.
struct Shape {
    const char* name;
    const char* text;  // roles, separated by ||
    uint32_t num_roles;
    uint8_t rank_of_role[kMaxRoles];  // where the roles are on two ranks
    uint8_t home_of_word[kMaxWords] = {};  // the role that has it in its window
    uint8_t home_of_row = 0;
    Register registers[kMaxRegisters];
    bool uses_shared = false;  // stages, mbarriers or notes
};

/// Where things lie in a window, behind the abort word.
struct Layout {
    uint64_t num_instances;
    uint64_t word_bytes;  // between a word and that of the next instance

    EPGEN_HOST_DEVICE uint64_t word(uint32_t word_idx, uint64_t instance) const {
        return kLineBytes + (word_idx * num_instances + instance) * word_bytes;
    }
    EPGEN_HOST_DEVICE uint64_t row(uint64_t instance) const { return word(kMaxWords, 0) + instance * kRowBytes; }
    EPGEN_HOST_DEVICE uint64_t register_of(uint64_t instance) const {
        return row(num_instances) + instance * kMaxRegisters;
    }
    EPGEN_HOST_DEVICE uint64_t window_bytes() const { return register_of(num_instances); }
};

/// Shared memory of a block.
struct Shared {
    alignas(128) uint8_t stage[kMaxThreads][kRowBytes];
    Mbarrier full[kMaxThreads];
    Mbarrier empty[kMaxThreads];
    uint32_t note[kMaxThreads];
};

/// What all threads of a launch have in common.
struct Args {
    uint32_t rank_idx;
    uint32_t num_ranks;
    uint64_t deadline_ns;
    FaultRecord* fault;
    Windows windows;
    Layout layout;
    uint32_t num_lanes;          // threads that play a role in a block
    uint32_t num_roles_a_block;  // 1 but where roles are warps of one block
    uint32_t num_launch_roles;   // blocks that are one group in this launch
    uint8_t launch_roles[kMaxRoles];
    uint8_t home_of_word[kMaxWords];  // ranks
    uint8_t home_of_row;
    uint32_t lane_shift;  // a role's lanes meet those of the next role that are so far behind

    EPGEN_DEVICE Call call() const { return {Op::dispatch, rank_idx, num_ranks, 1, deadline_ns, fault, windows.base}; }
    EPGEN_DEVICE uint32_t group_idx() const { return block_idx() / num_launch_roles; }
    EPGEN_DEVICE uint32_t role_idx() const {
        return num_roles_a_block > 1 ? thread_idx() / num_lanes : launch_roles[block_idx() % num_launch_roles];
    }
};

/// One thread's view of its instance.
class Env {
public:
    /// The instance of lane `lane_of_role`, in a round whose first instance of this block is `first_instance`.
    EPGEN_DEVICE Env(const Args& args, uint64_t first_instance, uint32_t round, uint32_t lane_of_role)
        : args_(args), first_instance_(first_instance), round_(round), lane_(lane_of_role) {}

    /// The instance of a thread's neighbour, lane or warp, in a ring: one thread begins what the other goes on with.
    EPGEN_DEVICE Env of_lane_before() const {
        return {args_, first_instance_, round_, lane_ / kWarpSize * kWarpSize + (lane_ + kWarpSize - 1) % kWarpSize};
    }
    EPGEN_DEVICE Env of_warp_before() const {
        return {args_, first_instance_, round_, (lane_ + args_.num_lanes - kWarpSize) % args_.num_lanes};
    }

    EPGEN_DEVICE local<uint64_t> word(Word word) const { return word_at<Space::local, uint64_t>(word); }
    EPGEN_DEVICE peer<uint64_t> peer_word(Word word) const { return word_at<Space::peer, uint64_t>(word); }
    EPGEN_DEVICE local<uint32_t> counter(Word word) const { return word_at<Space::local, uint32_t>(word); }
    EPGEN_DEVICE peer<uint32_t> peer_counter(Word word) const { return word_at<Space::peer, uint32_t>(word); }
    EPGEN_DEVICE local<uint8_t> row() const { return row_at<Space::local>(); }
    EPGEN_DEVICE peer<uint8_t> peer_row() const { return row_at<Space::peer>(); }
    EPGEN_DEVICE shared<uint8_t> stage() const {
        const auto stages = EPGEN_FIELD(shared_memory<Shared>(), stage);
        return make_pointer<Space::shared>(stages.raw + shared_slot() * kRowBytes, kRowBytes, "stage");
    }
    EPGEN_DEVICE shared<Mbarrier> full() const { return EPGEN_FIELD(shared_memory<Shared>(), full) + shared_slot(); }
    EPGEN_DEVICE shared<Mbarrier> empty() const { return EPGEN_FIELD(shared_memory<Shared>(), empty) + shared_slot(); }
    EPGEN_DEVICE shared<uint32_t> note() const { return EPGEN_FIELD(shared_memory<Shared>(), note) + shared_slot(); }

    /// Every mbarrier ends one phase a round.
    EPGEN_DEVICE uint32_t parity() const { return round_ & 1; }
    /// What fresh bytes of rows are made of. Bytes of a row are 0 before, those of a stage what the round before left.
    EPGEN_DEVICE uint32_t fresh() const { return round_ + 1; }

    template <Mode kMode>
    EPGEN_DEVICE uint64_t load(Word word, Place place = Place::here()) const {
        return litmus::load<kMode>(args_.call(), this->word(word), place);
    }
    template <Mode kMode>
    EPGEN_DEVICE void store(Word word, uint64_t value, Place place = Place::here()) const {
        litmus::store<kMode>(peer_word(word), value, place);
    }
    template <Reach kReach>
    EPGEN_DEVICE uint32_t load_counter(Word word, Place place = Place::here()) const {
        return litmus::load<Mode{Order::ordered, kReach}>(args_.call(), counter(word), place);
    }
    EPGEN_DEVICE bool wait(shared<Mbarrier> barrier, Place place = Place::here()) const {
        return wait_mbarrier(args_.call(), kSite, barrier, parity(), place);
    }

    /// Makes all bytes of a row or stage fresh.
    template <Space S>
    EPGEN_DEVICE void fill(Pointer<S, uint8_t> row, Place place = Place::here()) const {
        for (uint32_t at = 0; at < kRowBytes; at += sizeof(Vec16)) {
            st_vec16(row + at, Vec16{{fresh(), fresh(), fresh(), fresh()}}, place);
        }
    }
    /// How many of the words of a row or stage are fresh.
    template <Space S>
    EPGEN_DEVICE uint32_t num_fresh(Pointer<S, uint8_t> row, Place place = Place::here()) const {
        uint32_t count = 0;
        for (uint32_t at = 0; at < kRowBytes; at += sizeof(Vec16)) {
            const Vec16 vec = ld_vec16(row + at, place);
            for (const uint32_t word : vec.word) count += word == fresh();
        }
        return count;
    }
    template <Space S>
    EPGEN_DEVICE bool all_fresh(Pointer<S, uint8_t> row, Place place = Place::here()) const {
        return num_fresh(row, place) == kRowBytes / sizeof(uint32_t);
    }

    /// Sets a register and returns the value.
    EPGEN_DEVICE uint64_t set(uint32_t register_idx, uint64_t value) const {
        std::byte* data = args_.windows.base[args_.rank_idx] + args_.layout.register_of(instance()) + register_idx;
        st(make_local(reinterpret_cast<uint8_t*>(data), 1, "register"),
           static_cast<uint8_t>(value < kMaxValue ? value : kMaxValue));
        return value;
    }

private:
    EPGEN_DEVICE uint64_t instance() const {
        return first_instance_ + (lane_ + args_.lane_shift * args_.role_idx()) % args_.num_lanes;
    }
    EPGEN_DEVICE uint32_t shared_slot() const {
        return (thread_idx() / args_.num_lanes * args_.num_lanes + lane_) % kMaxThreads;
    }
    template <Space S, class T>
    EPGEN_DEVICE Pointer<S, T> word_at(Word word) const {
        std::byte* data = args_.windows.base[args_.home_of_word[word]] + args_.layout.word(word, instance());
        return make_pointer<S>(reinterpret_cast<T*>(data), 1, word == X ? "x" : word == Y ? "y" : "z");
    }
    template <Space S>
    EPGEN_DEVICE Pointer<S, uint8_t> row_at() const {
        std::byte* data = args_.windows.base[args_.home_of_row] + args_.layout.row(instance());
        return make_pointer<S>(reinterpret_cast<uint8_t*>(data), kRowBytes, "row");
    }

    const Args& args_;
    uint64_t first_instance_;
    uint32_t round_;
    uint32_t lane_;
};

/// Shared memory that a block of this program needs.
constexpr uint32_t shared_bytes(const Shape& shape) { return shape.uses_shared ? sizeof(Shared) : 0; }

/// Before the first round of a block: an mbarrier per thread, of one arrival.
EPGEN_DEVICE void init_mbarriers(const Args& args) {
    const Env env(args, 0, 0, thread_idx() % args.num_lanes);
    mbarrier_init(env.full(), 1);
    mbarrier_init(env.empty(), 1);
    fence_mbarrier_init();
    sync_block();
}

/// Before every round: nothing that the block did to its stages has to do with the next round.
template <class Program>
EPGEN_DEVICE void begin_round() {
    if constexpr (Program::shape.uses_shared) fence_proxy_async();
    sync_block();
}

/// Plays the role of index `role_idx`, which is `kRole` or a later one.
template <class Program, uint32_t kRole = 0>
EPGEN_DEVICE void play_role(uint32_t role_idx, const Env& env) {
    if constexpr (kRole < Program::shape.num_roles) {
        if (role_idx == kRole) {
            Program::template role<kRole>(env);
        } else {
            play_role<Program, kRole + 1>(role_idx, env);
        }
    }
}

/// The thread plays its role once, in a round whose first instance of its group is `first_instance`.
template <class Program>
EPGEN_DEVICE void play(const Args& args, uint64_t first_instance, uint32_t round) {
    play_role<Program>(args.role_idx(), Env(args, first_instance, round, thread_idx() % args.num_lanes));
}

}  // namespace epgen::litmus
