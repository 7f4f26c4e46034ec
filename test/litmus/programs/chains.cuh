// Cumulativity: one thread writes the data, another one releases the flag; and chains over several words.
#pragma once

#include "programs/messages.cuh"

namespace epgen::litmus {

enum class Between { sync_block, sync_warp, mbarrier, ballot };

/// Every thread of role 0 writes the data of its own instance and the flag of its neighbour's.
template <Between kBetween>
struct MessageByTwo {
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            st(env.peer_word(X), 1);
            if constexpr (kBetween == Between::sync_block) sync_block();
            if constexpr (kBetween == Between::sync_warp) sync_warp();
            if constexpr (kBetween == Between::ballot) ballot(true);
            if constexpr (kBetween == Between::mbarrier) mbarrier_arrive(env.full());
            constexpr bool kSameWarp = kBetween == Between::sync_warp || kBetween == Between::ballot;
            const Env other = kSameWarp ? env.of_lane_before() : env.of_warp_before();
            if constexpr (kBetween == Between::mbarrier) {
                if (!env.wait(other.full())) return;
            }
            other.store<kOrderedSys>(Y, 1);
        } else if (env.set(0, env.load<kOrderedSys>(Y)) == 1) {
            env.set(1, ld(env.word(X)));
        }
    }
};
struct MpAfterSyncBlock : MessageByTwo<Between::sync_block> {
    static constexpr Shape shape = message("mp_after_sync_block",
                                           "st x=1; bar.sync, another warp: st.release.sys y=1 || "
                                           "flag = ld.acquire.sys y; if flag: data = ld x");
};
struct MpAfterSyncWarp : MessageByTwo<Between::sync_warp> {
    static constexpr Shape shape = message("mp_after_sync_warp",
                                           "st x=1; bar.warp.sync, another lane: st.release.sys y=1 || "
                                           "flag = ld.acquire.sys y; if flag: data = ld x");
};
struct MpAfterMbarrier : MessageByTwo<Between::mbarrier> {
    static constexpr Shape shape = [] {
        Shape shape = message("mp_after_mbarrier",
                              "st x=1; mbarrier.arrive, another warp: mbarrier.try_wait; st.release.sys y=1 || "
                              "flag = ld.acquire.sys y; if flag: data = ld x");
        shape.uses_shared = true;
        return shape;
    }();
};
struct MpAfterBallot : MessageByTwo<Between::ballot> {
    static constexpr Shape shape = message("mp_after_ballot",
                                           "st x=1; vote.sync, another lane: st.release.sys y=1 || "
                                           "flag = ld.acquire.sys y; if flag: data = ld x");
};

/// One thread acquires the flag, another one of its block reads the data.
struct MpReadAfterSyncBlock {
    static constexpr Shape shape = [] {
        Shape shape = message("mp_read_after_sync_block",
                              "st x=1; st.release.sys y=1 || flag = ld.acquire.sys y; bar.sync, another warp: if flag: "
                              "data = ld x");
        shape.uses_shared = true;
        return shape;
    }();
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            st(env.peer_word(X), 1);
            env.store<kOrderedSys>(Y, 1);
        } else {
            st(env.note(), static_cast<uint32_t>(env.load<kOrderedSys>(Y)));
            sync_block();
            const Env other = env.of_warp_before();
            if (other.set(0, ld(other.note())) == 1) other.set(1, ld(other.word(X)));
        }
    }
};

/// Write to read causality: the middle thread has seen the data, and says so.
template <Mode kWriter, Mode kReader>
struct Wrc {
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            env.store<kRelaxedSys>(X, 1);
        } else if constexpr (kRole == 1) {
            if (env.set(0, env.load<kRelaxedSys>(X)) == 1) env.store<kWriter>(Y, 1);
        } else {
            env.set(1, env.load<kReader>(Y));
            env.set(2, env.load<kRelaxedSys>(X));
        }
    }
};
constexpr Shape wrc(const char* name, const char* text) {
    return {.name = name,
            .text = text,
            .num_roles = 3,
            .rank_of_role = {0, 0, 1},
            .home_of_word = {2, 2},
            .registers = {{"seen", 1}, kFlag, kStale}};
}
struct WrcOrdered : Wrc<kOrderedSys, kOrderedSys> {
    static constexpr Shape shape = wrc("wrc",
                                       "st.relaxed.sys x=1 || seen = ld.relaxed.sys x; if seen: st.release.sys y=1 || "
                                       "flag = ld.acquire.sys y; data = ld.relaxed.sys x");
};
struct WrcRelaxed : Wrc<kRelaxedSys, kRelaxedSys> {
    static constexpr Shape shape = wrc("wrc_relaxed",
                                       "st.relaxed.sys x=1 || seen = ld.relaxed.sys x; if seen: st.relaxed.sys y=1 || "
                                       "flag = ld.relaxed.sys y; data = ld.relaxed.sys x");
};

/// The middle thread has been told of the data, never looks at it, and tells the last one.
template <Mode kFirst, Mode kMiddleLoad, Mode kMiddleStore>
struct Isa2 {
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            st(env.peer_word(X), 1);
            env.store<kFirst>(Y, 1);
        } else if constexpr (kRole == 1) {
            if (env.load<kMiddleLoad>(Y) == 1) env.store<kMiddleStore>(Z, 1);
        } else if (env.set(0, env.load<kOrderedSys>(Z)) == 1) {
            env.set(1, ld(env.word(X)));
        }
    }
};
constexpr Shape isa2(const char* name, const char* text) {
    return {.name = name,
            .text = text,
            .num_roles = 3,
            .rank_of_role = {0, 1, 0},
            .home_of_word = {2, 1, 2},
            .registers = {kFlag, kStale}};
}
struct Isa2Ordered : Isa2<kOrderedSys, kOrderedSys, kOrderedSys> {
    static constexpr Shape shape = isa2("isa2",
                                        "st x=1; st.release.sys y=1 || if ld.acquire.sys y: st.release.sys z=1 || "
                                        "flag = ld.acquire.sys z; if flag: data = ld x");
};
struct Isa2RelaxedFirst : Isa2<kRelaxedSys, kOrderedSys, kOrderedSys> {
    static constexpr Shape shape = isa2("isa2_relaxed_first",
                                        "st x=1; st.relaxed.sys y=1 || if ld.acquire.sys y: st.release.sys z=1 || "
                                        "flag = ld.acquire.sys z; if flag: data = ld x");
};
struct Isa2RelaxedMiddle : Isa2<kOrderedSys, kRelaxedSys, kRelaxedSys> {
    static constexpr Shape shape = isa2("isa2_relaxed_middle",
                                        "st x=1; st.release.sys y=1 || if ld.relaxed.sys y: st.relaxed.sys z=1 || "
                                        "flag = ld.acquire.sys z; if flag: data = ld x");
};
/// The first two share a GPU, which is all that the first release reaches; the last one may be elsewhere.
struct Isa2GpuFirst : Isa2<kOrderedGpu, kOrderedGpu, kOrderedSys> {
    static constexpr Shape shape = [] {
        Shape shape = isa2("isa2_gpu_first",
                           "st x=1; st.release.gpu y=1 || if ld.acquire.gpu y: st.release.sys z=1 || "
                           "flag = ld.acquire.sys z; if flag: data = ld x");
        shape.rank_of_role[1] = 0;
        shape.rank_of_role[2] = 1;
        return shape;
    }();
};

}  // namespace epgen::litmus
