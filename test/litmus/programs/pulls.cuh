// Rows that are pulled, and bytes that are used again: the fences around bulk loads and second uses.
#pragma once

#include "programs/sends.cuh"

namespace epgen::litmus {

/// Which fence stands between the generic writes of a row and the bulk load that a peer reads it with.
enum class RowFence { none, by_reader, by_reader_for_shared, by_writer };

template <RowFence kFence>
struct Pull {
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            env.fill(env.row());
            if constexpr (kFence == RowFence::by_writer) fence_proxy_async();
            env.store<kOrderedSys>(Y, 1);
        } else if (env.set(0, env.load<kOrderedSys>(Y)) == 1) {
            if constexpr (kFence == RowFence::by_reader) fence_proxy_async();
            if constexpr (kFence == RowFence::by_reader_for_shared) fence_proxy_async_shared();
            mbarrier_arrive_expect_tx(env.full(), kRowBytes);
            bulk_load(env.stage(), env.peer_row(), kRowBytes, env.full());
            if (env.wait(env.full())) env.set(1, env.all_fresh(env.stage()));
        } else {
            mbarrier_arrive(env.full());
        }
    }
};
constexpr Shape pulled_row(const char* name, const char* text) {
    Shape shape = sent_row(name, text);
    shape.home_of_row = 0;
    return shape;
}
struct PullFenced : Pull<RowFence::by_reader> {
    static constexpr Shape shape = pulled_row("pull_fenced",
                                              "st row; st.release.sys y=1 || flag = ld.acquire.sys y; if flag: "
                                              "fence.proxy.async; bulk_load row; mbarrier.try_wait; data = ld stage");
};
struct PullUnfenced : Pull<RowFence::none> {
    static constexpr Shape shape = pulled_row("pull_unfenced",
                                              "st row; st.release.sys y=1 || flag = ld.acquire.sys y; if flag: "
                                              "bulk_load row; mbarrier.try_wait; data = ld stage");
};
struct PullSharedFence : Pull<RowFence::by_reader_for_shared> {
    static constexpr Shape shape = pulled_row("pull_shared_fence",
                                              "st row; st.release.sys y=1 || flag = ld.acquire.sys y; if flag: "
                                              "fence.proxy.async.shared; bulk_load row; mbarrier.try_wait; "
                                              "data = ld stage");
};
struct PullWriterFence : Pull<RowFence::by_writer> {
    static constexpr Shape shape = pulled_row("pull_writer_fence",
                                              "st row; fence.proxy.async; st.release.sys y=1 || "
                                              "flag = ld.acquire.sys y; if flag: bulk_load row; mbarrier.try_wait; "
                                              "data = ld stage");
};

/// How a thread learns that another one's bulk load is complete.
enum class LoadWait { mbarrier, not_at_all };
/// Who fences between a bulk store and the bulk load, on another rank or in another block, that reads its row.
enum class RelayFence { by_reader, by_writer };

/// A row that was sent by bulk store is pulled by bulk load: from copy to copy. Its pieces are read by another lane.
template <LoadWait kWait, RelayFence kFence = RelayFence::by_reader>
struct Relay {
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            env.fill(env.stage());
            fence_proxy_async_shared();
            send_stage(env);
            if constexpr (kFence == RelayFence::by_writer) fence_proxy_async();
            env.store<kOrderedSys>(Y, 1);
        } else {
            const uint64_t flag = env.set(0, env.load<kOrderedSys>(Y));
            st(env.note(), static_cast<uint32_t>(flag));
            if (flag == 1) {
                if constexpr (kFence == RelayFence::by_reader) fence_proxy_async();
                mbarrier_arrive_expect_tx(env.full(), kRowBytes);
                bulk_load(env.stage(), env.peer_row(), kRowBytes, env.full());
            } else {
                mbarrier_arrive(env.full());
            }
            sync_warp();
            const Env other = env.of_lane_before();
            if constexpr (kWait == LoadWait::mbarrier) {
                if (!env.wait(other.full())) return;
            }
            if (ld(other.note()) == 1) other.set(1, other.all_fresh(other.stage()));
            env.wait(env.full());
        }
    }
};
struct RelayWaited : Relay<LoadWait::mbarrier> {
    static constexpr Shape shape = sent_row("relay_waited",
                                               "st stage; fence.proxy.async.shared; bulk_store row; wait_group; "
                                               "st.release.sys y=1 || flag = ld.acquire.sys y; if flag: "
                                               "fence.proxy.async; bulk_load row, another lane: mbarrier.try_wait; "
                                               "data = ld stage");
};
struct RelayWriterFence : Relay<LoadWait::mbarrier, RelayFence::by_writer> {
    static constexpr Shape shape = sent_row("relay_writer_fence",
                                               "st stage; fence.proxy.async.shared; bulk_store row; wait_group; "
                                               "fence.proxy.async; st.release.sys y=1 || flag = ld.acquire.sys y; "
                                               "if flag: bulk_load row, another lane: mbarrier.try_wait; "
                                               "data = ld stage");
};
struct RelayUnwaited : Relay<LoadWait::not_at_all> {
    static constexpr Shape shape = sent_row("relay_unwaited",
                                               "st stage; fence.proxy.async.shared; bulk_store row; wait_group; "
                                               "st.release.sys y=1 || flag = ld.acquire.sys y; if flag: "
                                               "fence.proxy.async; bulk_load row; bar.warp.sync, another lane: "
                                               "data = ld stage");
};

/// When a thread gives back a stage that it reads.
enum class GiveBack { fenced, unfenced, too_early };

/// A thread reads a stage and gives it back, another warp loads into it what is no longer fresh.
template <GiveBack kGiveBack>
struct Reuse {
    template <uint32_t>
    static EPGEN_DEVICE void role(const Env& env) {
        env.fill(env.stage());
        fence_proxy_async_shared();
        sync_block();
        if constexpr (kGiveBack == GiveBack::too_early) mbarrier_arrive(env.empty());
        env.set(0, env.all_fresh(env.stage()));
        if constexpr (kGiveBack == GiveBack::fenced) fence_proxy_async_shared();
        if constexpr (kGiveBack != GiveBack::too_early) mbarrier_arrive(env.empty());
        const Env other = env.of_warp_before();
        if (!env.wait(other.empty())) return;
        mbarrier_arrive_expect_tx(other.full(), kRowBytes);
        bulk_load(other.stage(), other.peer_row(), kRowBytes, other.full());
        env.wait(other.full());
    }
};
constexpr Shape reused_stage(const char* name, const char* text) {
    return {.name = name,
            .text = text,
            .num_roles = 1,
            .rank_of_role = {0},
            .registers = {{"intact", 0}},
            .uses_shared = true};
}
struct ReuseFenced : Reuse<GiveBack::fenced> {
    static constexpr Shape shape = reused_stage("reuse_fenced",
                                                "intact = ld stage; fence.proxy.async.shared; mbarrier.arrive, "
                                                "another warp: mbarrier.try_wait; bulk_load stage");
};
struct ReuseUnfenced : Reuse<GiveBack::unfenced> {
    static constexpr Shape shape = reused_stage("reuse_unfenced",
                                                "intact = ld stage; mbarrier.arrive, another warp: "
                                                "mbarrier.try_wait; bulk_load stage");
};
struct ReuseTooEarly : Reuse<GiveBack::too_early> {
    static constexpr Shape shape = reused_stage("reuse_too_early",
                                                "mbarrier.arrive; intact = ld stage, another warp: "
                                                "mbarrier.try_wait; bulk_load stage");
};

/// A reader is done with a row and says so, the writer sends the next one.
template <bool kFenced>
struct Credit {
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            env.set(1, env.num_fresh(env.row()) == 0);
            env.store<kOrderedSys>(Y, 1);
        } else {
            env.fill(env.stage());
            fence_proxy_async_shared();
            if (env.set(0, env.load<kOrderedSys>(Y)) == 1) {
                if constexpr (kFenced) fence_proxy_async();
                send_stage(env);
            }
        }
    }
};
constexpr Shape credit(const char* name, const char* text) {
    return {.name = name,
            .text = text,
            .num_roles = 2,
            .rank_of_role = {0, 1},
            .home_of_word = {0, 1},
            .home_of_row = 0,
            .registers = {{"credit", 1}, {"intact", 0}},
            .uses_shared = true};
}
struct CreditFenced : Credit<true> {
    static constexpr Shape shape = credit("credit_fenced",
                                          "intact = ld row; st.release.sys y=1 || credit = ld.acquire.sys y; "
                                          "if credit: fence.proxy.async; bulk_store row");
};
struct CreditUnfenced : Credit<false> {
    static constexpr Shape shape = credit("credit_unfenced",
                                          "intact = ld row; st.release.sys y=1 || credit = ld.acquire.sys y; "
                                          "if credit: bulk_store row");
};

}  // namespace epgen::litmus
