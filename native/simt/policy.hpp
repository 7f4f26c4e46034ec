// In which order a machine runs what can run. Everything that a policy decides follows from the machine's seed.
#pragma once

#include <cstdint>

namespace epgen::simt {

/// In which order the blocks of a launch become resident.
enum class BlockOrder { ascending, descending, shuffled };

struct Policy {
    enum class Kind {
        uniform,        // any runnable thread is as likely as any other
        priority,       // the runnable warp of the highest priority runs; priorities change at random moments
        frozen_rank,    // one rank stands still while anything else can run, for a random stretch, then another
        starved_block,  // the same for one block of one rank
    };
    Kind kind = Kind::uniform;
    uint32_t num_changes = 3;          // priority: how many changes of a priority are drawn (the depth of PCT)
    uint32_t max_resident_blocks = 0;  // per rank; 0: as many as are launched
    BlockOrder block_order = BlockOrder::ascending;
    bool rank_skew = true;  // ranks start kernels late; where threads are drawn by chance, ranks have changing speeds
};

}  // namespace epgen::simt
