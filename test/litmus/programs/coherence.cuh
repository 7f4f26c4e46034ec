// One word: its stores come in one order, which no thread sees going backwards.
#pragma once

#include "env.cuh"

namespace epgen::litmus {

constexpr Shape coherence(const char* name, const char* text, Register first, Register second = {}) {
    return {.name = name,
            .text = text,
            .num_roles = 2,
            .rank_of_role = {0, 1},
            .home_of_word = {1},
            .registers = {first, second}};
}

/// Two loads of a thread.
struct CoRR {
    static constexpr Shape shape =
        coherence("corr", "st.relaxed.sys x=1 || r0 = ld.relaxed.sys x; r1 = ld.relaxed.sys x", {"r0", 1}, {"r1", 0});
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            env.store<kRelaxedSys>(X, 1);
        } else {
            const uint64_t first = env.load<kRelaxedSys>(X);
            const uint64_t second = env.load<kRelaxedSys>(X);
            env.set(0, first);
            env.set(1, second);
        }
    }
};

/// Two stores of a thread, watched by another one.
struct CoWW {
    static constexpr Shape shape =
        coherence("coww", "st.relaxed.sys x=1; st.relaxed.sys x=2 || r0 = ld.relaxed.sys x", {"x", 1, X}, {"r0"});
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            env.store<kRelaxedSys>(X, 1);
            env.store<kRelaxedSys>(X, 2);
        } else {
            env.set(1, env.load<kRelaxedSys>(X));
        }
    }
};

/// Two stores of a thread, the second one seen before the first.
struct CoWWRR {
    static constexpr Shape shape =
        coherence("coww_corr", "st.relaxed.sys x=1; st.relaxed.sys x=2 || r0 = ld.relaxed.sys x; r1 = ld.relaxed.sys x",
                  {"r0", 2}, {"r1", 1});
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            env.store<kRelaxedSys>(X, 1);
            env.store<kRelaxedSys>(X, 2);
        } else {
            const uint64_t first = env.load<kRelaxedSys>(X);
            const uint64_t second = env.load<kRelaxedSys>(X);
            env.set(0, first);
            env.set(1, second);
        }
    }
};

/// A load and a store: what was loaded lies below.
struct CoRW {
    static constexpr Shape shape = coherence(
        "corw", "st.relaxed.sys x=1 || r0 = ld.relaxed.sys x; st.relaxed.sys x=2", {"r0", 1}, {"x", 1, X});
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            env.store<kRelaxedSys>(X, 1);
        } else {
            env.set(0, env.load<kRelaxedSys>(X));
            env.store<kRelaxedSys>(X, 2);
        }
    }
};

/// A store and a load: what is loaded instead of it lies above.
struct CoWR {
    static constexpr Shape shape = coherence(
        "cowr", "st.relaxed.sys x=1 || st.relaxed.sys x=2; r0 = ld.relaxed.sys x", {"r0", 1}, {"x", 2, X});
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            env.store<kRelaxedSys>(X, 1);
        } else {
            env.store<kRelaxedSys>(X, 2);
            env.set(0, env.load<kRelaxedSys>(X));
        }
    }
};

/// Two additions: none is lost.
template <Reach kReach>
struct TwoAdditions {
    template <uint32_t>
    static EPGEN_DEVICE void role(const Env& env) {
        add<kReach>(env.peer_counter(X), 1);
    }
};
struct AtomicSys : TwoAdditions<Reach::sys> {
    static constexpr Shape shape =
        coherence("atomic_sys", "red.release.sys x+1 || red.release.sys x+1", {"x", 1, X});
};
struct AtomicGpu : TwoAdditions<Reach::gpu> {
    static constexpr Shape shape =
        coherence("atomic_gpu", "red.release.gpu x+1 || red.release.gpu x+1", {"x", 1, X});
};

}  // namespace epgen::litmus
