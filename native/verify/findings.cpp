#include "verify/findings.hpp"

#include <cstdio>
#include <cstring>

#include "verify/source_line.hpp"

namespace epgen::verify {

std::vector<Finding> Findings::all() const {
    std::lock_guard lock(mutex_);
    return findings_;
}

void Findings::clear() {
    findings_.clear();
    has_stopped_ = false;
}

void Findings::add(Finding finding) {
    std::lock_guard lock(mutex_);
    findings_.push_back(std::move(finding));
}

std::string Findings::call_text(uint32_t call_idx) const {
    const Call& call = sequence_.calls[call_idx];
    const std::string number = "call " + std::to_string(call_idx + 1) + " of " + std::to_string(sequence_.num_calls);
    if (call.is_dispatch) {
        switch (sequence_.dispatches[call.idx].mode) {
            case DispatchMode::topk: return number + ", dispatch";
            case DispatchMode::layout: return number + ", dispatch from a layout";
            case DispatchMode::cached: return number + ", dispatch from a handle";
        }
    }
    switch (sequence_.combines[call.idx].from) {
        case CombineFrom::output: return number + ", combine";
        case CombineFrom::received: return number + ", combine of rows in place";
        case CombineFrom::rewritten: return number + ", combine of rows rewritten in place";
        case CombineFrom::experts: return number + ", combine of sums over experts";
    }
    return number;
}

void Findings::add_data(uint32_t rank_idx, const std::string& call, const std::string& text, const char* what) {
    add({"data", call + ", rank " + std::to_string(rank_idx) + ": " + text, {}, "", what});
}

void Findings::add_fault(const simt::FaultReport& report) {
    has_stopped_ = true;
    Finding finding{"fault", report.message, {}, "", ""};
    if (report.kind == simt::FaultKind::deadlock) {
        finding.detector = "timeout";
        for (const simt::Waiting& waiting : report.waiting) {
            finding.places.push_back({waiting.file, waiting.line, waiting.what, "", waiting.rank_idx, waiting.block_idx,
                                      waiting.warp_idx});
        }
        finding.key = "deadlock";
    } else {
        finding.places.push_back({report.file, report.line, simt::fault_kind_name(report.kind), "", report.rank_idx,
                                  report.block_idx, report.thread_idx / 32, report.thread_idx % 32});
    }
    add(std::move(finding));
}

void Findings::add_wait(uint32_t rank_idx, const FaultRecord& fault) {
    add({"timeout",
                         "rank " + std::to_string(rank_idx) + " gave up waiting for " + phase_name(fault.phase) +
                             " of rank " + std::to_string(fault.peer_idx) + " in " + op_name(fault.op),
                         {},
                         "",
                         std::string(op_name(fault.op)) + phase_name(fault.phase)});
}

void Findings::add_race(const simt::RaceReport& report) {
    std::string message = report.text();
    const std::string tail = ": " + report.remedy;  // has a field of its own
    if (message.ends_with(tail)) message.resize(message.size() - tail.size());
    Finding finding{"race", std::move(message), {}, report.remedy, ""};
    for (const simt::RaceSide* side : {&report.first, &report.second}) {
        finding.places.push_back({side->file, side->line, side->what, side->object, side->rank_idx, side->block_idx,
                                  side->warp_idx, side->lane_idx, simt::proxy_name(side->proxy),
                                  simt::agent_name(side->agent), side->code_address});
        if (side->code_address != nullptr) finding.detector = "raw";
    }
    add(std::move(finding));
}

void Findings::add_hang() {
    has_stopped_ = true;
    add({"timeout", "the schedule did not end within 60 s", {}, "", "hang"});
}

void Findings::complete() {
    std::lock_guard lock(mutex_);
    for (Finding& finding : findings_) {
        for (FindingPlace& place : finding.places) {
            if (place.code_address == nullptr) continue;
            const SourceLine source = source_line(place.code_address);
            place.file = source.file;
            place.line = source.line;
            char address[32];
            std::snprintf(address, sizeof address, "%p", place.code_address);
            if (const size_t at = finding.message.find(address); at != std::string::npos) {
                finding.message.replace(at, std::strlen(address), source.file + ":" + std::to_string(source.line));
            }
        }
        if (!finding.key.empty()) continue;
        for (const FindingPlace& place : finding.places) {
            finding.key += place.file + ":" + std::to_string(place.line) + " " + place.what + " ";
        }
    }
}

}  // namespace epgen::verify
