// Accesses that no primitive makes. Compiled with -fsanitize=thread, as the kernels of a verifier are.
#include "check.hpp"

namespace epgen::test {

struct Table {
    uint32_t words[32];
};

/// Lanes leave their number for each other: through primitives, through the raw pointer, or in memory of their own.
static void raw_body(const Args& args) {
    const auto words = EPGEN_FIELD(shared_memory<Table>(), words);
    uint32_t own[32];
    for (uint32_t idx = 0; idx < 32; ++idx) own[idx] = idx * args.parameter;
    if (args.parameter == 1) {
        words.raw[lane_idx()] = own[lane_idx()];
    } else {
        st(words + lane_idx(), own[lane_idx()]);
    }
    if (args.parameter != 2) sync_warp();
    const uint32_t other = args.parameter == 0 ? ld(words + (lane_idx() ^ 1)) : words.raw[lane_idx() ^ 1];
    st(args.results() + lane_idx(), other);
}
EPGEN_KERNEL(raw, Args, raw_body, 32, Table)

CASE("plain C++ accesses to shared memory are checked like any other") {
    for (uint32_t parameter = 0; parameter < 2; ++parameter) {
        const auto races = races_of({raw_entry, 1}, parameter, 1);
        expect(races.empty(), texts(races));
    }
    const auto races = races_of({raw_entry, 1}, 2, 1);
    expect(races.size() == 1, texts(races));
    if (races.size() != 1) return;
    const simt::RaceSide& raw = races[0].first.code_address != nullptr ? races[0].first : races[0].second;
    expect(raw.what == "raw access" && !raw.is_write && raw.code_address != nullptr, races[0].text());
    const simt::RaceSide& store = races[0].first.code_address != nullptr ? races[0].second : races[0].first;
    expect(store.what == "st" && store.file == "check_raw.cpp", races[0].text());
}

}  // namespace epgen::test
