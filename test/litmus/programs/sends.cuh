// Rows that are sent: which fence comes before a bulk store, and which wait before its row is announced.
#pragma once

#include "programs/messages.cuh"

namespace epgen::litmus {

/// Which fence stands between generic writes of a stage and the bulk store that reads it.
enum class StageFence { none, by_writer, by_issuer, by_issuer_too_early };

/// Sends a stage to the row of the same instance and waits until it is there.
EPGEN_DEVICE void send_stage(const Env& env) {
    bulk_store(env.peer_row(), env.stage(), kRowBytes);
    bulk_commit_group();
    bulk_wait_group<0>();
}

/// Role 1 of all programs whose role 0 sends a row.
EPGEN_DEVICE void receive_row(const Env& env) {
    if (env.set(0, env.load<kOrderedSys>(Y)) == 1) env.set(1, env.all_fresh(env.row()));
}

constexpr Shape sent_row(const char* name, const char* text) {
    return {.name = name,
            .text = text,
            .num_roles = 2,
            .rank_of_role = {0, 1},
            .home_of_word = {1, 1},
            .home_of_row = 1,
            .registers = {kFlag, kStale},
            .uses_shared = true};
}

/// A thread fills a stage and sends it itself.
template <bool kFenced>
struct SendOwn {
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            env.fill(env.stage());
            if constexpr (kFenced) fence_proxy_async_shared();
            send_stage(env);
            env.store<kOrderedSys>(Y, 1);
        } else {
            receive_row(env);
        }
    }
};
struct SendOwnFenced : SendOwn<true> {
    static constexpr Shape shape = sent_row("send_own_fenced",
                                            "st stage; fence.proxy.async.shared; bulk_store row; wait_group; "
                                            "st.release.sys y=1 || flag = ld.acquire.sys y; if flag: data = ld row");
};
struct SendOwnUnfenced : SendOwn<false> {
    static constexpr Shape shape = sent_row("send_own_unfenced",
                                            "st stage; bulk_store row; wait_group; st.release.sys y=1 || "
                                            "flag = ld.acquire.sys y; if flag: data = ld row");
};

/// A thread fills a stage, another warp of its block sends it.
template <StageFence kFence>
struct SendOther {
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            if constexpr (kFence == StageFence::by_issuer_too_early) fence_proxy_async_shared();
            env.fill(env.stage());
            if constexpr (kFence == StageFence::by_writer) fence_proxy_async_shared();
            sync_block();
            if constexpr (kFence == StageFence::by_issuer) fence_proxy_async_shared();
            const Env other = env.of_warp_before();
            send_stage(other);
            other.store<kOrderedSys>(Y, 1);
        } else {
            receive_row(env);
        }
    }
};
struct SendOtherFenced : SendOther<StageFence::by_writer> {
    static constexpr Shape shape = sent_row("send_other_fenced",
                                            "st stage; fence.proxy.async.shared; bar.sync, another warp: "
                                            "bulk_store row; wait_group; st.release.sys y=1 || "
                                            "flag = ld.acquire.sys y; if flag: data = ld row");
};
struct SendOtherUnfenced : SendOther<StageFence::none> {
    static constexpr Shape shape = sent_row("send_other_unfenced",
                                            "st stage; bar.sync, another warp: bulk_store row; wait_group; "
                                            "st.release.sys y=1 || flag = ld.acquire.sys y; if flag: data = ld row");
};
struct SendOtherIssuerFence : SendOther<StageFence::by_issuer> {
    static constexpr Shape shape = sent_row("send_other_issuer_fence",
                                            "st stage; bar.sync, another warp: fence.proxy.async.shared; "
                                            "bulk_store row; wait_group; st.release.sys y=1 || "
                                            "flag = ld.acquire.sys y; if flag: data = ld row");
};
struct SendOtherEarlyFence : SendOther<StageFence::by_issuer_too_early> {
    static constexpr Shape shape = sent_row("send_other_early_fence",
                                            "st stage; bar.sync, another warp, whose fence.proxy.async.shared came "
                                            "before the barrier: bulk_store row; wait_group; st.release.sys y=1 || "
                                            "flag = ld.acquire.sys y; if flag: data = ld row");
};

/// Who waits for a sent row, how, and who then announces it.
enum class RowWait { read_only, by_other, by_self_then_other };

template <RowWait kWait>
struct Announce {
    template <uint32_t kRole>
    static EPGEN_DEVICE void role(const Env& env) {
        if constexpr (kRole == 0) {
            env.fill(env.stage());
            fence_proxy_async_shared();
            // A thread that waits for a neighbour's copy must have none of its own.
            const bool sends = kWait != RowWait::by_other || lane_idx() % 2 == 0;
            if (sends) {
                bulk_store(env.peer_row(), env.stage(), kRowBytes);
                bulk_commit_group();
                if constexpr (kWait == RowWait::read_only) bulk_wait_group_read<0>();
                if constexpr (kWait == RowWait::by_self_then_other) bulk_wait_group<0>();
            }
            if constexpr (kWait == RowWait::read_only) {
                env.store<kOrderedSys>(Y, 1);
            } else {
                sync_warp();
                if (kWait == RowWait::by_self_then_other || !sends) {
                    if constexpr (kWait == RowWait::by_other) bulk_wait_group<0>();
                    env.of_lane_before().store<kOrderedSys>(Y, 1);
                }
            }
            bulk_wait_group<0>();
        } else {
            receive_row(env);
        }
    }
};
struct AnnounceRead : Announce<RowWait::read_only> {
    static constexpr Shape shape = sent_row("announce_read",
                                            "st stage; fence.proxy.async.shared; bulk_store row; wait_group.read; "
                                            "st.release.sys y=1 || flag = ld.acquire.sys y; if flag: data = ld row");
};
struct AnnounceByOther : Announce<RowWait::by_other> {
    static constexpr Shape shape = sent_row("announce_by_other",
                                            "st stage; fence.proxy.async.shared; bulk_store row; bar.warp.sync, "
                                            "another lane: wait_group; st.release.sys y=1 || "
                                            "flag = ld.acquire.sys y; if flag: data = ld row");
};
struct AnnounceBySelfThenOther : Announce<RowWait::by_self_then_other> {
    static constexpr Shape shape = sent_row("announce_by_self_then_other",
                                            "st stage; fence.proxy.async.shared; bulk_store row; wait_group; "
                                            "bar.warp.sync, another lane: st.release.sys y=1 || "
                                            "flag = ld.acquire.sys y; if flag: data = ld row");
};

}  // namespace epgen::litmus
