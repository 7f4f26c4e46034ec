// What the operational model keeps of a resident block.
#pragma once

#include "simt/model/old_bytes.hpp"
#include "simt/model/origin.hpp"

namespace epgen::simt {

struct BlockModel {
    BlockKnowledge knowledge;
    OldByteList old_shared;  // of its shared memory
};

}  // namespace epgen::simt
