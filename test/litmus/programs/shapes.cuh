// The classic shapes of two to four threads on strong words: what may be seen although nothing is torn or stale.
#pragma once

#include "env.cuh"

namespace epgen::litmus {

/// Store buffering: both store, and neither sees the other's.
template <Mode kStore, Mode kLoad>
struct Sb {
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        env.store<kStore>(kRole == 0 ? X : Y, 1);
        env.set(kRole, env.load<kLoad>(kRole == 0 ? Y : X));
    }
};
constexpr Shape pair(const char* name, const char* text, Register first, Register second) {
    return {.name = name,
            .text = text,
            .num_roles = 2,
            .rank_of_role = {0, 1},
            .home_of_word = {1, 0},
            .registers = {first, second}};
}
struct SbRelaxed : Sb<kRelaxedSys, kRelaxedSys> {
    static constexpr Shape shape = pair("sb_relaxed",
                                        "st.relaxed.sys x=1; r0 = ld.relaxed.sys y || st.relaxed.sys y=1; "
                                        "r1 = ld.relaxed.sys x",
                                        {"r0", 0}, {"r1", 0});
};
struct SbOrdered : Sb<kOrderedSys, kOrderedSys> {
    static constexpr Shape shape = pair("sb",
                                        "st.release.sys x=1; r0 = ld.acquire.sys y || st.release.sys y=1; "
                                        "r1 = ld.acquire.sys x",
                                        {"r0", 0}, {"r1", 0});
};

/// Load buffering: both load, and each sees what the other stores afterwards.
template <Mode kLoad, Mode kStore>
struct Lb {
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        const uint64_t seen = env.load<kLoad>(kRole == 0 ? Y : X);
        env.store<kStore>(kRole == 0 ? X : Y, 1);
        env.set(kRole, seen);
    }
};
struct LbRelaxed : Lb<kRelaxedSys, kRelaxedSys> {
    static constexpr Shape shape = pair("lb_relaxed",
                                        "r0 = ld.relaxed.sys y; st.relaxed.sys x=1 || r1 = ld.relaxed.sys x; "
                                        "st.relaxed.sys y=1",
                                        {"r0", 1}, {"r1", 1});
};
struct LbOrdered : Lb<kOrderedSys, kOrderedSys> {
    static constexpr Shape shape = pair("lb",
                                        "r0 = ld.acquire.sys y; st.release.sys x=1 || r1 = ld.acquire.sys x; "
                                        "st.release.sys y=1",
                                        {"r0", 1}, {"r1", 1});
};

/// Each thread's first store ends up on top of the other's second one.
template <Mode kSecond>
struct TwoPlusTwoWrites {
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        env.store<kRelaxedSys>(kRole == 0 ? X : Y, 1);
        env.store<kSecond>(kRole == 0 ? Y : X, 2);
    }
};
struct TwoPlusTwoWritesRelaxed : TwoPlusTwoWrites<kRelaxedSys> {
    static constexpr Shape shape = pair("2+2w_relaxed",
                                        "st.relaxed.sys x=1; st.relaxed.sys y=2 || st.relaxed.sys y=1; "
                                        "st.relaxed.sys x=2",
                                        {"x", 1, X}, {"y", 1, Y});
};
struct TwoPlusTwoWritesOrdered : TwoPlusTwoWrites<kOrderedSys> {
    static constexpr Shape shape = pair("2+2w",
                                        "st.relaxed.sys x=1; st.release.sys y=2 || st.relaxed.sys y=1; "
                                        "st.release.sys x=2",
                                        {"x", 1, X}, {"y", 1, Y});
};

/// What the second thread stores after it has seen the flag ends up below what the first one stored before it.
template <Mode kFlagStore, Mode kFlagLoad>
struct S {
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            env.store<kRelaxedSys>(X, 2);
            env.store<kFlagStore>(Y, 1);
        } else {
            env.set(0, env.load<kFlagLoad>(Y));
            env.store<kRelaxedSys>(X, 1);
        }
    }
};
constexpr Shape with_words_at_second(Shape shape) {
    shape.home_of_word[X] = shape.home_of_word[Y] = 1;
    return shape;
}
struct SRelaxed : S<kRelaxedSys, kRelaxedSys> {
    static constexpr Shape shape = with_words_at_second(
        pair("s_relaxed",
             "st.relaxed.sys x=2; st.relaxed.sys y=1 || flag = ld.relaxed.sys y; st.relaxed.sys x=1", {"flag", 1},
             {"x", 2, X}));
};
struct SOrdered : S<kOrderedSys, kOrderedSys> {
    static constexpr Shape shape = with_words_at_second(
        pair("s", "st.relaxed.sys x=2; st.release.sys y=1 || flag = ld.acquire.sys y; st.relaxed.sys x=1", {"flag", 1},
             {"x", 2, X}));
};

/// The second thread's store of y comes on top, and yet it misses what came before the first one's.
struct ROrdered {
    static constexpr Shape shape = with_words_at_second(
        pair("r", "st.relaxed.sys x=1; st.release.sys y=1 || st.release.sys y=2; r0 = ld.acquire.sys x", {"r0", 0},
             {"y", 2, Y}));
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            env.store<kRelaxedSys>(X, 1);
            env.store<kOrderedSys>(Y, 1);
        } else {
            env.store<kOrderedSys>(Y, 2);
            env.set(0, env.load<kOrderedSys>(X));
        }
    }
};

/// Independent reads of independent writes: two readers disagree about which of two stores came first.
template <Mode kStore, Mode kLoad>
struct Iriw {
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole < 2) {
            env.store<kStore>(kRole == 0 ? X : Y, 1);
        } else {
            const uint64_t first = env.load<kLoad>(kRole == 2 ? X : Y);
            const uint64_t second = env.load<kLoad>(kRole == 2 ? Y : X);
            env.set(2 * kRole - 4, first);
            env.set(2 * kRole - 3, second);
        }
    }
};
/// Each word lies with one of its two readers.
constexpr Shape iriw(const char* name, const char* text) {
    return {.name = name,
            .text = text,
            .num_roles = 4,
            .rank_of_role = {0, 1, 0, 1},
            .home_of_word = {2, 3},
            .registers = {{"r0", 1}, {"r1", 0}, {"r2", 1}, {"r3", 0}}};
}
struct IriwRelaxedSys : Iriw<kRelaxedSys, kRelaxedSys> {
    static constexpr Shape shape = iriw("iriw_relaxed_sys",
                                        "st.relaxed.sys x=1 || st.relaxed.sys y=1 || r0 = ld.relaxed.sys x; "
                                        "r1 = ld.relaxed.sys y || r2 = ld.relaxed.sys y; r3 = ld.relaxed.sys x");
};
struct IriwSys : Iriw<kOrderedSys, kOrderedSys> {
    static constexpr Shape shape = iriw("iriw_sys",
                                        "st.release.sys x=1 || st.release.sys y=1 || r0 = ld.acquire.sys x; "
                                        "r1 = ld.acquire.sys y || r2 = ld.acquire.sys y; r3 = ld.acquire.sys x");
};
struct IriwRelaxedGpu : Iriw<kRelaxedGpu, kRelaxedGpu> {
    static constexpr Shape shape = iriw("iriw_relaxed_gpu",
                                        "st.relaxed.gpu x=1 || st.relaxed.gpu y=1 || r0 = ld.relaxed.gpu x; "
                                        "r1 = ld.relaxed.gpu y || r2 = ld.relaxed.gpu y; r3 = ld.relaxed.gpu x");
};
struct IriwGpu : Iriw<kOrderedGpu, kOrderedGpu> {
    static constexpr Shape shape = iriw("iriw_gpu",
                                        "st.release.gpu x=1 || st.release.gpu y=1 || r0 = ld.acquire.gpu x; "
                                        "r1 = ld.acquire.gpu y || r2 = ld.acquire.gpu y; r3 = ld.acquire.gpu x");
};

}  // namespace epgen::litmus
