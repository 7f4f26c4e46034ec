#include "runtime/emulator_report.hpp"

#include "device/record.cuh"

namespace epgen {
namespace {

Value value_of(const simt::Waiting& waiting) {
    return Value::Fields{
        {"rank", waiting.rank_idx},
        {"block", waiting.block_idx},
        {"warp", waiting.warp_idx},
        {"laneMask", waiting.lane_mask},
        {"what", waiting.what},
        {"op", waiting.op == 0 ? Value() : Value(op_name(static_cast<Op>(waiting.op)))},
        {"phase", waiting.phase == 0 ? Value() : Value(phase_name(static_cast<Phase>(waiting.phase)))},
        {"epoch", waiting.epoch},
        {"peer", waiting.peer_idx},
        {"channel", waiting.channel_idx},
        {"expected", waiting.expected},
        {"seen", waiting.seen},
        {"file", waiting.file},
        {"line", waiting.line},
        {"text", waiting.text()},
    };
}

}  // namespace

Error error_of(const simt::FaultReport& report) {
    Value::List waiting;
    for (const simt::Waiting& one : report.waiting) waiting.push_back(value_of(one));
    if (report.kind == simt::FaultKind::deadlock) {
        return {ErrorCode::deadlock, report.message,
                Value::Fields{{"kind", "deadlock"}, {"waiting", std::move(waiting)}}};
    }
    return {ErrorCode::fault, report.message,
            Value::Fields{
                {"kind", simt::fault_kind_name(report.kind)},
                {"message", report.message},
                {"file", report.file},
                {"line", report.line},
                {"rank", report.rank_idx},
                {"block", report.block_idx},
                {"thread", report.thread_idx},
                {"waiting", std::move(waiting)},
            }};
}

std::optional<uint32_t> culprit_of(const simt::FaultReport& report) {
    if (report.kind == simt::FaultKind::deadlock) return std::nullopt;
    return report.rank_idx;
}

}  // namespace epgen
