// What a group makes of streams, whatever the backend below it does first.
#include "scripted.hpp"

#include <cstdio>

namespace epgen::scripted {

struct Case {
    const char* name;
    void (*body)();
};
static std::vector<Case> cases;
static std::string failure;

#define EPGEN_CASE(name, number)                                                                           \
    static void case_##number();                                                                           \
    [[maybe_unused]] static const bool is_case_##number = (cases.push_back({name, case_##number}), true);  \
    static void case_##number()
#define EPGEN_NUMBERED_CASE(name, number) EPGEN_CASE(name, number)
/// A case of this name; the test runner reads the names from the source.
#define CASE(name) EPGEN_NUMBERED_CASE(name, __COUNTER__)

static void expect(bool holds, const std::string& what) {
    if (!holds && failure.empty()) failure = what;
}

static void expect_contains(const std::string& text, const std::string& part) {
    expect(text.find(part) != std::string::npos, "expected \"" + part + "\" in \"" + text + "\"");
}

static GroupOptions options() {
    return {.seed = 0, .num_windows = 1, .deadline_ms = 1000, .first_deadline_ms = 1000, .devices = {0, 1}};
}

/// How an operation ended: empty where it succeeded.
struct Ending {
    std::optional<std::string> text;

    Completion completion() {
        return [this](Outcome outcome) {
            const Error* error = std::get_if<Error>(&outcome);
            text = error ? error->message() : "";
        };
    }
};

/// What `call` throws.
template <class Call>
static std::string refusal_of(Call call) {
    try {
        call();
        return "";
    } catch (const Error& error) {
        return error.message();
    }
}

/// A dispatch of no tokens with the handle at `block`.
static DispatchRequest ht_request(uint64_t block) {
    DispatchRequest request{};
    request.handle = block;
    request.grid = request.expert_alignment = 1;
    return request;
}

CASE("a read behind an asynchronous dispatch hears of its wrong index, whichever end is seen first") {
    Group group(module(), options());
    const uint64_t block = group.allocate(0, 4096);
    const uint32_t comm = comm_stream(0);
    DispatchRequest request = ht_request(block);
    request.stream_idx = comm;
    group.dispatch(0, request, nullptr);
    group.wait_event(0, kMainStream, group.record_event(0, comm));
    Ending read;
    group.read(0, block, 16, read.completion());

    CountRecord& record = backend->record_of(0);
    record.bad_token_idx = 3;
    record.bad_choice_idx = 0;
    record.bad_value = 77;
    record.tag = 1;
    backend->step(0, kMainStream);
    expect(read.text.has_value(), "the read has ended");
    expect_contains(*read.text, "token 3, k 0 holds 77");
    backend->step(0, comm);
    backend->step(0, comm);

    Ending next;
    group.read(0, block, 16, next.completion());
    backend->step(0, kMainStream);
    expect(next.text == "", "told once: " + next.text.value_or("pending"));
}

CASE("a read hears of no later call's wrong index, though both have ended when its end is seen") {
    Group group(module(), options());
    const uint64_t block = group.allocate(0, 4096);
    const uint32_t comm = comm_stream(0);
    Ending before, after;
    group.read(0, block, 16, before.completion());
    DispatchRequest request = ht_request(block);
    request.stream_idx = comm;
    for (int i = 0; i < 2; ++i) group.dispatch(0, request, nullptr);
    CountRecord& record = backend->record_of(0);
    record.bad_token_idx = 3;
    record.bad_choice_idx = 1;
    record.bad_value = 77;
    record.tag = kSharedTag;
    group.read(0, block, 16, after.completion());

    backend->step(0, comm);  // of the first dispatch, on a stream of its own
    backend->step(0, kMainStream);
    expect(before.text == "", "has ended: " + before.text.value_or("pending"));
    backend->step(0, kMainStream);
    expect_contains(after.text.value_or("pending"), "token 3, k 1 holds 77");
}

CASE("of two calls that found something wrong a read hears of the one before it, though the other has ended first") {
    GroupOptions wide = options();
    wide.num_windows = 2;
    Group group(module(), wide);
    const uint64_t block = group.allocate(0, 4096);
    DispatchRequest request = ht_request(block);
    request.stream_idx = comm_stream(1);
    request.window_idx = 1;
    group.dispatch(0, request, nullptr);
    CountRecord& earlier = backend->record_of(0);
    Ending read, next;
    group.read(0, block, 16, read.completion());
    request.stream_idx = comm_stream(0);
    request.window_idx = 0;
    request.num_worst_tokens = 2;
    group.dispatch(0, request, nullptr);
    CountRecord& later = backend->record_of(0);
    expect(&later != &earlier, "a record each");
    for (CountRecord* record : {&earlier, &later}) {
        record->bad_token_idx = record == &earlier ? 1 : 2;
        record->tag = kSharedTag;
    }
    backend->step(0, comm_stream(0));
    backend->step(0, kMainStream);
    expect_contains(read.text.value_or("pending"), "token 1, k 0");
}

CASE("a reset of a group that goes on leaves what a call has found to be told, one after a failure does not") {
    for (const bool has_failed : {false, true}) {
        Group group(module(), options());
        const uint64_t block = group.allocate(0, 4096);
        group.dispatch(0, ht_request(block), nullptr);
        backend->record_of(0).bad_token_idx = 3;
        backend->record_of(0).tag = kSharedTag;
        backend->step(0, kMainStream);
        if (has_failed) backend->fail(Error(ErrorCode::cuda, "an illegal address"));
        group.reset(0, [](Outcome) {});
        Ending read;
        group.read(0, block, 16, read.completion());
        backend->step(0, kMainStream);
        if (has_failed) {
            expect(read.text == "", "forgotten: " + read.text.value_or("pending"));
        } else {
            expect_contains(read.text.value_or("pending"), "token 3, k 0");
        }
    }
}

CASE("a write before a replay hears of no wrong index that the replay found") {
    Group group(module(), options());
    const uint64_t block = group.allocate(0, 4096);
    const uint32_t graph_idx = group.begin_capture();
    for (uint32_t rank_idx = 0; rank_idx < 2; ++rank_idx) {
        const uint64_t handle = rank_idx == 0 ? block : group.allocate(rank_idx, 4096);
        group.dispatch(rank_idx, ht_request(handle), nullptr);
    }
    group.end_capture([](Outcome) {});
    Ending before, after;
    group.write(0, block, std::array<std::byte, 16>{}, before.completion());
    group.replay(graph_idx);
    group.write(0, block, std::array<std::byte, 16>{}, after.completion());
    CountRecord& record = backend->record_of(0);
    record.bad_token_idx = 3;
    record.tag = kSharedTag;
    backend->step(0, kMainStream);
    expect(before.text == "", "has ended: " + before.text.value_or("pending"));
    for (int i = 0; i < 2; ++i) backend->step(0, kMainStream);
    expect_contains(after.text.value_or("pending"), "token 3, k 0");
}

/// A low-latency dispatch of no tokens with the handle at `block`, on the stream of the first window.
static LlDispatchRequest ll_request(uint64_t block, uint32_t phases) {
    LlDispatchRequest request{};
    request.phases = phases;
    request.handle = block;
    request.grid = 1;
    request.stream_idx = comm_stream(0);
    return request;
}

CASE("a read behind a low-latency send hears of its wrong index before the send's end is seen") {
    Group group(module(), options());
    const uint64_t block = group.allocate(0, 4096);
    const uint32_t comm = comm_stream(0);
    group.ll_dispatch(0, ll_request(block, kLlSend));
    CountRecord& record = backend->record_of(0);
    group.wait_event(0, kMainStream, group.record_event(0, comm));
    Ending read;
    group.read(0, block, 16, read.completion());

    record.bad_token_idx = 2;
    record.bad_choice_idx = 1;
    record.bad_value = 55;
    record.tag = 1;
    backend->step(0, kMainStream);
    expect(read.text.has_value(), "the read has ended");
    expect_contains(*read.text, "token 2, k 1 holds 55");

    group.ll_dispatch(0, ll_request(block, kLlReceive));
    for (int i = 0; i < 3; ++i) backend->step(0, comm);
    Ending next;
    group.read(0, block, 16, next.completion());
    backend->step(0, kMainStream);
    expect(next.text == "", "told once: " + next.text.value_or("pending"));
}

CASE("low-latency sends wait for no count record, though awaited dispatches have taken all") {
    Ending counted[kNumCountRecords];  // until the group has told them
    Group group(module(), options());
    const uint64_t block = group.allocate(0, 256);
    for (Ending& ending : counted) group.dispatch(0, ht_request(block), ending.completion());
    for (uint32_t i = 0; i < 2 * kNumCountRecords; ++i) {
        group.ll_dispatch(0, ll_request(block, kLlSend));
        group.ll_dispatch(0, ll_request(block, kLlReceive));
    }
    expect(group.launched()[0].ll_dispatch == 2 * kNumCountRecords, "all are on their stream");
}

CASE("dispatches that nobody waits for share a record, and leave one to a dispatch that somebody waits for") {
    Ending counted;  // until the group has told it
    Group group(module(), options());
    const uint64_t block = group.allocate(0, 4096);
    for (uint32_t i = 0; i < 2 * kNumCountRecords; ++i) group.dispatch(0, ht_request(block), nullptr);
    group.dispatch(0, ht_request(block), counted.completion());
    expect(group.launched()[0].dispatch == 2 * kNumCountRecords + 1, "all are on their stream");
    backend->memory(0).count_record(0)->tag = 1;
    for (uint32_t i = 0; i <= 2 * kNumCountRecords; ++i) backend->step(0, kMainStream);
    expect(counted.text == "", "has counted: " + counted.text.value_or("pending"));
}

CASE("dispatches that share a record tell of what is wrong") {
    Group group(module(), options());
    const uint64_t block = group.allocate(0, 4096);
    DispatchRequest request = ht_request(block);
    group.dispatch(0, request, nullptr);
    CountRecord& record = backend->record_of(0);
    request.num_worst_tokens = 2;
    group.dispatch(0, request, nullptr);
    CountRecord& narrow_record = backend->record_of(0);
    expect(&narrow_record != &record, "one record for each number of rows");
    group.dispatch(0, request, nullptr);
    expect(&backend->record_of(0) == &narrow_record, "the same one again");

    record.num_recv_tokens = 4;
    record.bad_token_idx = 3;
    record.tag = kSharedTag;
    narrow_record.num_recv_tokens = 3;  // the tag is to come
    Ending read, next;
    for (Ending* ending : {&read, &next}) group.read(0, block, 16, ending->completion());
    for (int i = 0; i < 5; ++i) backend->step(0, kMainStream);
    expect_contains(read.text.value_or("pending"), "token 3, k 0");
    expect(next.text == "", "told once: " + next.text.value_or("pending"));
}

CASE("what a call is writing to a shared record when another has ended is told with the call's own tag") {
    Group group(module(), options());
    const uint64_t block = group.allocate(0, 4096);
    for (int i = 0; i < 2; ++i) group.dispatch(0, ht_request(block), nullptr);
    CountRecord& record = backend->record_of(0);
    record.tag = kSharedTag;  // of the first
    record.bad_choice_idx = 1;  // the second has written this and the next, and its token is to come
    record.bad_value = 99;
    Ending before, after;
    backend->step(0, kMainStream);
    group.read(0, block, 16, before.completion());
    record.bad_token_idx = 3;
    record.tag = kSharedTag;
    for (int i = 0; i < 2; ++i) backend->step(0, kMainStream);
    group.read(0, block, 16, after.completion());
    backend->step(0, kMainStream);
    const std::string told = before.text.value_or("") + after.text.value_or("");
    expect_contains(told, "token 3, k 1 holds 99");
}

/// A combine of no tokens that is only sent, with the handle at `block`, on its rank's own stream.
static LlCombineRequest ll_combine_request(uint64_t block, uint32_t phases) {
    LlCombineRequest request{};
    request.phases = phases;
    request.handle = block;
    request.grid = 1;
    return request;
}

CASE("where a combine that was only sent fails, a read hears why: its receive does not, and nobody twice") {
    Ending received, read, next, other;  // until the group has told them
    Group group(module(), options());
    const uint64_t block = group.allocate(0, 4096);
    group.ll_combine(0, ll_combine_request(block, kLlSend), nullptr);
    group.ll_combine(0, ll_combine_request(block, kLlReceive), received.completion());
    group.read(0, block, 16, read.completion());
    group.read(0, block, 16, next.completion());
    group.read(1, group.allocate(1, 256), 16, other.completion());
    backend->fail(Error(ErrorCode::cuda, "an illegal address"));
    for (const Ending* ending : {&received, &next, &other}) {
        expect_contains(ending->text.value_or("pending"), "stopped after an earlier failure");
    }
    expect(read.text == "an illegal address", read.text.value_or("pending"));
}

CASE("where a combine that was only sent gave up, a read that comes later hears why") {
    Ending received, read;
    Group group(module(), options());
    const uint64_t block = group.allocate(0, 4096);
    group.ll_combine(0, ll_combine_request(block, kLlSend), nullptr);
    group.ll_combine(0, ll_combine_request(block, kLlReceive), received.completion());
    FaultRecord& fault = *backend->memory(0).windows[0].fault;
    fault.op = Op::ll_combine;
    fault.reason = 1;
    fault.state = 2;  // complete
    for (int i = 0; i < 2; ++i) backend->step(0, kMainStream);
    expect_contains(received.text.value_or("pending"), "stopped after an earlier failure");
    const std::string told = refusal_of([&] { group.read(0, block, 16, read.completion()); });
    expect(told.starts_with("A wait passed its deadline"), told);
}

CASE("nobody gets at a stream while calls wait for a count record") {
    Ending counted[kNumCountRecords + 1];  // until the group has told them
    Group group(module(), options());
    const uint64_t block = group.allocate(0, 4096);
    for (uint32_t i = 0; i < kNumCountRecords; ++i) group.dispatch(0, ht_request(block), counted[i].completion());
    group.stream(0, kMainStream);
    group.dispatch(0, ht_request(block), counted[kNumCountRecords].completion());
    group.ll_dispatch(0, ll_request(block, kLlSend | kLlReceive));
    expect(group.launched()[0].ll_dispatch == 0, "calls keep their order");
    expect_contains(refusal_of([&] { group.stream(0, kMainStream); }), "but 2 wait, for one of 16 dispatches to count");
    backend->memory(0).count_record(0)->tag = 1;
    backend->step(0, kMainStream);
    expect(counted[0].text == "" && group.launched()[0].ll_dispatch == 1, "the first has counted, all go on");
    group.stream(0, kMainStream);
}

CASE("after a reset nothing is wrong in a record that a graph keeps") {
    Group group(module(), options());
    const uint64_t block = group.allocate(0, 4096);
    LlDispatchRequest request = ll_request(block, kLlSend | kLlReceive);
    request.stream_idx = kMainStream;
    const uint32_t graph_idx = group.begin_capture();
    group.ll_dispatch(0, request);
    *backend->memory(0).shared_record(0) = {};  // as a backend clears memory
    group.reset(0, [](Outcome) {});
    group.end_capture([](Outcome) {});
    group.replay(graph_idx);
    backend->record_of(0).tag = kSharedTag;
    Ending read;
    group.read(0, block, 16, read.completion());
    for (int i = 0; i < 2; ++i) backend->step(0, kMainStream);
    expect(read.text == "", read.text.value_or("pending"));
}

CASE("too many rows in a replay are told once, though the next replay has begun before anyone looks") {
    Group group(module(), options());
    const uint64_t block = group.allocate(0, 4096);
    DispatchRequest request = ht_request(block);
    request.num_worst_tokens = 2;
    const uint32_t graph_idx = group.begin_capture();
    group.dispatch(0, request, nullptr);
    group.end_capture([](Outcome) {});
    expect(backend->record_of(0).num_recv_tokens == 0, "cleared for the first replay");
    for (int i = 0; i < 3; ++i) group.replay(graph_idx);

    backend->record_of(0).num_recv_tokens = 3;  // the first; rows of the second fit, so it only writes the tag
    backend->record_of(0).tag = kSharedTag;
    for (int i = 0; i < 2; ++i) backend->step(0, kMainStream);
    Ending read, next;
    group.read(0, block, 16, read.completion());
    group.read(0, block, 16, next.completion());
    for (int i = 0; i < 3; ++i) backend->step(0, kMainStream);
    expect_contains(read.text.value_or("pending"), "Expected at most numWorstTokens, 2, rows but rank 0 received 3");
    expect(next.text == "", "told once: " + next.text.value_or("pending"));
}

CASE("rows that a replay of another graph counted are not taken for too many") {
    Group group(module(), options());
    const uint64_t block = group.allocate(0, 4096);
    const auto capture = [&](uint32_t num_worst_tokens) {
        DispatchRequest request = ht_request(block);
        request.num_worst_tokens = num_worst_tokens;
        const uint32_t graph_idx = group.begin_capture();
        group.dispatch(0, request, nullptr);
        group.end_capture([](Outcome) {});
        return std::pair{graph_idx, &backend->record_of(0)};
    };
    const auto [narrow, narrow_record] = capture(2);
    const auto [open, open_record] = capture(0);
    const auto [wide, wide_record] = capture(3);
    expect(capture(2).second == narrow_record, "one record for each number of rows");
    for (const uint32_t graph_idx : {narrow, open, wide}) group.replay(graph_idx);

    open_record->num_recv_tokens = 3;  // before the host has looked at the replay before
    wide_record->num_recv_tokens = 4;
    for (CountRecord* record : {narrow_record, open_record, wide_record}) record->tag = kSharedTag;
    Ending read, next;
    group.read(0, block, 16, read.completion());
    group.read(0, block, 16, next.completion());
    for (int i = 0; i < 5; ++i) backend->step(0, kMainStream);
    expect_contains(read.text.value_or("pending"), "Expected at most numWorstTokens, 3, rows but rank 0 received 4");
    expect(next.text == "", "told once: " + next.text.value_or("pending"));
}

CASE("another capture leaves what a replay has found, though its graph was freed") {
    Group group(module(), options());
    const uint64_t block = group.allocate(0, 4096);
    DispatchRequest request = ht_request(block);
    const auto capture = [&] {
        const uint32_t graph_idx = group.begin_capture();
        group.dispatch(0, request, nullptr);
        group.end_capture([](Outcome) {});
        return graph_idx;
    };
    const uint32_t first = capture();
    group.replay(first);
    backend->record_of(0).bad_token_idx = 1;
    backend->record_of(0).tag = kSharedTag;
    group.free_graph(first);
    capture();
    Ending read;
    group.read(0, block, 16, read.completion());
    for (int i = 0; i < 2; ++i) backend->step(0, kMainStream);
    expect_contains(read.text.value_or("pending"), "token 1, k 0");
}

CASE("a stream that is refused once is refused again") {
    Group group(module(), options());
    backend->refuses_streams = true;
    for (int i = 0; i < 2; ++i) {
        expect(refusal_of([&] { group.import_stream(0, 0x40); }) == "no such stream", "refused");
    }
    backend->refuses_streams = false;
    expect(group.import_stream(0, 0x40) == 2, "the first one that is not a window's");
    expect(group.import_stream(0, 0x40) == 2, "the same again");
}

CASE("a stream that can't be opened takes no place") {
    Group group(module(), options());
    backend->refuses_streams = true;
    for (uint32_t i = 0; i < 2 * kMaxStreams; ++i) {
        expect(refusal_of([&] { group.open_stream(0); }) == "no such stream", "refused");
    }
    backend->refuses_streams = false;
    for (uint32_t i = 2; i < kMaxStreams; ++i) expect(group.open_stream(0) == i, "the next one");
    expect_contains(refusal_of([&] { group.open_stream(0); }), "at most 64 streams");
    group.close_stream(0, 5);
    expect(group.open_stream(0) == 5, "one that was closed");
}

CASE("what a caller puts on its own stream comes behind what was put there for it") {
    Group group(module(), options());
    const uint32_t stream = group.open_stream(0);
    const uint64_t event = group.record_event(0, kMainStream);
    group.wait_event(0, comm_stream(0), event);
    expect(backend->num_flushes == 0, "nobody else is at the streams of a group");
    group.wait_event(0, stream, event);
    group.record_event(0, stream);
    expect(backend->num_flushes == 2, "a wait and an event, once they are on the stream");
    group.stream(0, kMainStream);
    expect(backend->num_flushes == 3, "calls made before, for whoever gets at the stream");
}

CASE("events go on when indices are used up, in the order of the calls") {
    Group group(module(), options());
    const uint32_t stream = group.open_stream(0);
    for (uint32_t i = 0; i < kNumEvents + 10; ++i) group.record_event(0, stream);
    const uint64_t block = group.allocate(0, 4096);
    Ending read;
    group.read(0, block, 16, read.completion());
    for (uint32_t i = 0; i < 9; ++i) backend->step(0, stream);
    group.wait_event(0, kMainStream, kNumEvents + 10);
    backend->step(0, stream);
    backend->step(0, kMainStream);
    expect(read.text == "", "the read came onto its stream");
}

}  // namespace epgen::scripted

int main() {
    using namespace epgen::scripted;
    bool is_ok = true;
    for (const Case& one : cases) {
        failure.clear();
        try {
            one.body();
        } catch (const epgen::Error& error) {
            expect(false, error.message());
        }
        std::printf(failure.empty() ? "ok %s\n" : "FAIL %s: %s\n", one.name, failure.c_str());
        is_ok = is_ok && failure.empty();
    }
    return is_ok ? 0 : 1;
}
