#include "runtime/reports.hpp"

#include <algorithm>
#include <string>

namespace epgen {
namespace {

constexpr uint32_t kDeadlinePassed = 1;

Value value_of(const FaultRecord& record) {
    return Value::Fields{
        {"op", op_name(record.op)},
        {"phase", phase_name(record.phase)},
        {"rank", record.rank_idx},
        {"peer", record.peer_idx},
        {"channel", record.channel_idx},
        {"epoch", record.epoch},
        {"expected", record.expected},
        {"seen", record.seen},
        {"reason", record.reason == kDeadlinePassed ? "deadline" : "peer"},
    };
}

std::string sentence_of(const FaultRecord& record) {
    std::string text = "rank " + std::to_string(record.rank_idx) + " waited in " + op_name(record.op) + " for " +
                       phase_name(record.phase);
    if (record.peer_idx >= 0) text += " of rank " + std::to_string(record.peer_idx);
    if (record.channel_idx >= 0) text += " in channel " + std::to_string(record.channel_idx);
    return text + ": expected " + std::to_string(record.expected) + ", saw " + std::to_string(record.seen);
}

std::string joined(const std::vector<uint32_t>& numbers) {
    std::string text;
    for (const uint32_t number : numbers) text += (text.empty() ? "" : ", ") + std::to_string(number);
    return text;
}

template <class T>
Value list_of(const std::vector<T>& items) {
    return Value::List(items.begin(), items.end());
}

}  // namespace

Error expert_index_error(uint32_t rank_idx, const CountRecord& record, uint32_t num_experts) {
    return {ErrorCode::argument,
            "Expected every index of topkIdx to be -1 or below " + std::to_string(num_experts) + " but rank " +
                std::to_string(rank_idx) + ", token " + std::to_string(record.bad_token_idx) + ", k " +
                std::to_string(record.bad_choice_idx) + " holds " + std::to_string(record.bad_value),
            Value::Fields{
                {"kind", "expert-index"},
                {"rank", rank_idx},
                {"token", record.bad_token_idx},
                {"k", record.bad_choice_idx},
                {"value", record.bad_value},
            }};
}

Error worst_tokens_error(uint32_t rank_idx, const CountRecord& record, uint32_t num_worst_tokens) {
    return {ErrorCode::argument,
            "Expected at most numWorstTokens, " + std::to_string(num_worst_tokens) + ", rows but rank " +
                std::to_string(rank_idx) + " received " + std::to_string(record.num_recv_tokens),
            Value::Fields{
                {"kind", "worst-tokens"},
                {"rank", rank_idx},
                {"numWorstTokens", num_worst_tokens},
                {"numRecvTokens", record.num_recv_tokens},
            }};
}

Error timeout_error(std::vector<FaultRecord> records, double waited_ms, std::vector<uint32_t> idle_ranks) {
    // A rank that only followed another one says nothing about the cause.
    std::ranges::stable_sort(records, {}, [](const FaultRecord& record) { return record.reason != kDeadlinePassed; });
    std::string message = "A wait passed its deadline of " + std::to_string(static_cast<uint64_t>(waited_ms)) + " ms";
    if (!records.empty()) message += "; " + sentence_of(records.front());
    if (!idle_ranks.empty()) message += "; never called: rank " + joined(idle_ranks);
    Value::List reports;
    for (const FaultRecord& record : records) reports.push_back(value_of(record));
    return {ErrorCode::timeout, std::move(message),
            Value::Fields{
                {"kind", "timeout"},
                {"records", std::move(reports)},
                {"waitedMs", waited_ms},
                {"idleRanks", list_of(idle_ranks)},
            }};
}

Error aborted_error(const Error& cause) {
    return {ErrorCode::aborted, "The group has stopped after an earlier failure: " + cause.message(),
            Value::Fields{{"cause", Value::Fields{
                                        {"code", error_code_name(cause.code())},
                                        {"message", cause.message()},
                                        {"detail", cause.detail()},
                                    }}}};
}

Error disposed_error() {
    return {ErrorCode::disposed, "The group was disposed"};
}

}  // namespace epgen
