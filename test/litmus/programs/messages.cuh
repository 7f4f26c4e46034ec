// Message passing: role 0 writes data and a flag, the last role reads the flag and, where it is set, the data.
#pragma once

#include "env.cuh"

namespace epgen::litmus {

/// Registers of all messages: the flag was seen, and the data was not.
constexpr Register kFlag{"flag", 1};
constexpr Register kStale{"data", 0};

constexpr Shape message(const char* name, const char* text) {
    return {.name = name,
            .text = text,
            .num_roles = 2,
            .rank_of_role = {0, 1},
            .home_of_word = {1, 1},
            .registers = {kFlag, kStale}};
}

/// Both words have one reader, in whose window they lie.
template <Mode kWriter, Mode kReader>
struct Message {
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            st(env.peer_word(X), 1);
            env.store<kWriter>(Y, 1);
        } else if (env.set(0, env.load<kReader>(Y)) == 1) {
            env.set(1, ld(env.word(X)));
        }
    }
};
struct MpSys : Message<kOrderedSys, kOrderedSys> {
    static constexpr Shape shape = message(
        "mp_sys", "st x=1; st.release.sys y=1 || flag = ld.acquire.sys y; if flag: data = ld x");
};
struct MpRelaxedWriter : Message<kRelaxedSys, kOrderedSys> {
    static constexpr Shape shape = message(
        "mp_relaxed_writer", "st x=1; st.relaxed.sys y=1 || flag = ld.acquire.sys y; if flag: data = ld x");
};
struct MpRelaxedReader : Message<kOrderedSys, kRelaxedSys> {
    static constexpr Shape shape = message(
        "mp_relaxed_reader", "st x=1; st.release.sys y=1 || flag = ld.relaxed.sys y; if flag: data = ld x");
};
struct MpGpu : Message<kOrderedGpu, kOrderedGpu> {
    static constexpr Shape shape = message(
        "mp_gpu", "st x=1; st.release.gpu y=1 || flag = ld.acquire.gpu y; if flag: data = ld x");
};
struct MpGpuWriter : Message<kOrderedGpu, kOrderedSys> {
    static constexpr Shape shape = message(
        "mp_gpu_writer", "st x=1; st.release.gpu y=1 || flag = ld.acquire.sys y; if flag: data = ld x");
};
struct MpGpuReader : Message<kOrderedSys, kOrderedGpu> {
    static constexpr Shape shape = message(
        "mp_gpu_reader", "st x=1; st.release.sys y=1 || flag = ld.acquire.gpu y; if flag: data = ld x");
};

/// Strong data that is read in any case: no race, and nothing between the two loads.
template <Mode kWriter, Mode kReader>
struct StrongMessage {
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            env.store<kRelaxedSys>(X, 1);
            env.store<kWriter>(Y, 1);
        } else {
            const uint64_t flag = env.load<kReader>(Y);
            const uint64_t data = env.load<kRelaxedSys>(X);
            env.set(0, flag);
            env.set(1, data);
        }
    }
};
struct MpStrong : StrongMessage<kOrderedSys, kOrderedSys> {
    static constexpr Shape shape = message("mp_strong",
                                           "st.relaxed.sys x=1; st.release.sys y=1 || flag = ld.acquire.sys y; "
                                           "data = ld.relaxed.sys x");
};
struct MpStrongRelaxedWriter : StrongMessage<kRelaxedSys, kOrderedSys> {
    static constexpr Shape shape = message("mp_strong_relaxed_writer",
                                           "st.relaxed.sys x=1; st.relaxed.sys y=1 || flag = ld.acquire.sys y; "
                                           "data = ld.relaxed.sys x");
};
struct MpStrongRelaxedReader : StrongMessage<kOrderedSys, kRelaxedSys> {
    static constexpr Shape shape = message("mp_strong_relaxed_reader",
                                           "st.relaxed.sys x=1; st.release.sys y=1 || flag = ld.relaxed.sys y; "
                                           "data = ld.relaxed.sys x");
};

template <Reach kReach>
struct CountedMessage {
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            st(env.peer_word(X), 1);
            add<kReach>(env.peer_counter(Y), 1);
        } else if (env.set(0, env.load_counter<kReach>(Y)) == 1) {
            env.set(1, ld(env.word(X)));
        }
    }
};
struct MpRedSys : CountedMessage<Reach::sys> {
    static constexpr Shape shape = message(
        "mp_red_sys", "st x=1; red.release.sys y+1 || flag = ld.acquire.sys y; if flag: data = ld x");
};
struct MpRedGpu : CountedMessage<Reach::gpu> {
    static constexpr Shape shape = message(
        "mp_red_gpu", "st x=1; red.release.gpu y+1 || flag = ld.acquire.gpu y; if flag: data = ld x");
};

/// One acquire of the sum of two additions.
struct MpTwoReds {
    static constexpr Shape shape{
        .name = "mp_two_reds",
        .text = "st x=1; red.release.sys z+1 || st y=1; red.release.sys z+1 || sum = ld.acquire.sys z; if sum = 2: "
                "data = ld x & ld y",
        .num_roles = 3,
        .rank_of_role = {0, 0, 1},
        .home_of_word = {2, 2, 2},
        .registers = {{"sum", 2}, kStale}};
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole < 2) {
            st(env.peer_word(kRole == 0 ? X : Y), 1);
            add<Reach::sys>(env.peer_counter(Z), 1);
        } else if (env.set(0, env.load_counter<Reach::sys>(Z)) == 2) {
            env.set(1, ld(env.word(X)) & ld(env.word(Y)));
        }
    }
};

/// A relaxed addition by a third thread carries the release on, where its scope takes both ends in.
struct MpTicket {
    static constexpr Shape shape{
        .name = "mp_ticket",
        .text = "st x=1; red.release.sys y+1 || atom.relaxed.gpu y+1 || sum = ld.acquire.sys y; if sum = 2: "
                "data = ld x",
        .num_roles = 3,
        .rank_of_role = {0, 1, 1},
        .home_of_word = {2, 2},
        .registers = {{"sum", 2}, kStale}};
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            st(env.peer_word(X), 1);
            add<Reach::sys>(env.peer_counter(Y), 1);
        } else if constexpr (kRole == 1) {
            atom_add_relaxed_gpu(env.counter(Y), 1);
        } else if (env.set(0, env.load_counter<Reach::sys>(Y)) == 2) {
            env.set(1, ld(env.word(X)));
        }
    }
};

/// Another thread overwrites the flag: its store is no part of what the first one released.
struct MpOverwritten {
    static constexpr Shape shape{
        .name = "mp_overwritten",
        .text = "st x=1; st.release.sys y=1 || if ld.relaxed.sys y = 1: st.relaxed.sys y=2 || "
                "flag = ld.acquire.sys y; if flag = 2: data = ld x",
        .num_roles = 3,
        .rank_of_role = {0, 1, 1},
        .home_of_word = {2, 2},
        .registers = {{"flag", 2}, kStale}};
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            st(env.peer_word(X), 1);
            env.store<kOrderedSys>(Y, 1);
        } else if constexpr (kRole == 1) {
            if (env.load<kRelaxedSys>(Y) == 1) env.store<kRelaxedSys>(Y, 2);
        } else if (env.set(0, env.load<kOrderedSys>(Y)) == 2) {
            env.set(1, ld(env.word(X)));
        }
    }
};

/// The thread that released overwrites the flag itself: both stores together are one release pattern.
struct MpOverwrittenBySelf {
    static constexpr Shape shape = [] {
        Shape shape = message("mp_overwritten_by_self",
                              "st x=1; st.release.sys y=1; st.relaxed.sys y=2 || flag = ld.acquire.sys y; if flag = 2: "
                              "data = ld x");
        shape.registers[0].asked = 2;
        return shape;
    }();
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            st(env.peer_word(X), 1);
            env.store<kOrderedSys>(Y, 1);
            env.store<kRelaxedSys>(Y, 2);
        } else if (env.set(0, env.load<kOrderedSys>(Y)) == 2) {
            env.set(1, ld(env.word(X)));
        }
    }
};

/// A relaxed load finds the flag, an acquire of the same word follows.
struct MpAcquireLater {
    static constexpr Shape shape = message("mp_acquire_later",
                                           "st x=1; st.release.sys y=1 || flag = ld.relaxed.sys y; if flag: "
                                           "ld.acquire.sys y; data = ld x");
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            st(env.peer_word(X), 1);
            env.store<kOrderedSys>(Y, 1);
        } else if (env.set(0, env.load<kRelaxedSys>(Y)) == 1) {
            env.load<kOrderedSys>(Y);
            env.set(1, ld(env.word(X)));
        }
    }
};

}  // namespace epgen::litmus
