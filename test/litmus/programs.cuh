// All programs, in the order of the table.
#pragma once

#include "programs/chains.cuh"
#include "programs/coherence.cuh"
#include "programs/messages.cuh"
#include "programs/pulls.cuh"
#include "programs/sends.cuh"
#include "programs/shapes.cuh"

namespace epgen::litmus {

template <class... Programs>
struct List {
    /// Calls `visit.template operator()<Program>()` for each.
    template <class Visit>
    static void for_each(Visit&& visit) {
        (visit.template operator()<Programs>(), ...);
    }
};

using AllPrograms = List<
    // messages
    MpSys, MpRelaxedWriter, MpRelaxedReader, MpGpu, MpGpuWriter, MpGpuReader, MpStrong, MpStrongRelaxedWriter,
    MpStrongRelaxedReader, MpRedSys, MpRedGpu, MpTwoReds, MpTicket, MpOverwritten, MpOverwrittenBySelf, MpAcquireLater,
    // chains
    MpAfterSyncBlock, MpAfterSyncWarp, MpAfterMbarrier, MpAfterBallot, MpReadAfterSyncBlock, WrcOrdered, WrcRelaxed,
    Isa2Ordered, Isa2RelaxedFirst, Isa2RelaxedMiddle, Isa2GpuFirst,
    // shapes
    SbRelaxed, SbOrdered, LbRelaxed, LbOrdered, TwoPlusTwoWritesRelaxed, TwoPlusTwoWritesOrdered, SRelaxed, SOrdered,
    ROrdered, IriwRelaxedSys, IriwSys, IriwRelaxedGpu, IriwGpu,
    // coherence
    CoRR, CoWW, CoWWRR, CoRW, CoWR, AtomicSys, AtomicGpu,
    // sends
    SendOwnFenced, SendOwnUnfenced, SendOtherFenced, SendOtherUnfenced, SendOtherIssuerFence, SendOtherEarlyFence,
    AnnounceRead, AnnounceByOther, AnnounceBySelfThenOther,
    // pulls
    PullFenced, PullUnfenced, PullSharedFence, PullWriterFence, RelayWaited, RelayWriterFence, RelayUnwaited,
    ReuseFenced, ReuseUnfenced, ReuseTooEarly, CreditFenced, CreditUnfenced>;

}  // namespace epgen::litmus
