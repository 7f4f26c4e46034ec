#include "verify/finding.hpp"

#include <sys/resource.h>

#include <cinttypes>
#include <cstdio>

namespace epgen::verify {

namespace {

std::string quoted(const std::string& text) {
    std::string json = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            json += '\\';
            json += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\u%04x", c);
            json += escape;
        } else {
            json += c;
        }
    }
    return json + '"';
}

std::string json_of(const FindingPlace& place) {
    return "{\"file\":" + quoted(place.file) + ",\"line\":" + std::to_string(place.line) +
           ",\"what\":" + quoted(place.what) + ",\"object\":" + quoted(place.object) +
           ",\"rank\":" + std::to_string(place.rank_idx) + ",\"block\":" + std::to_string(place.block_idx) +
           ",\"warp\":" + std::to_string(place.warp_idx) + ",\"lane\":" + std::to_string(place.lane_idx) +
           ",\"proxy\":" + quoted(place.proxy) +
           ",\"agent\":" + quoted(place.agent) + "}";
}

void print_line(const std::string& line) {
    std::fputs((line + "\n").c_str(), stdout);
    std::fflush(stdout);  // the reader follows
}

}  // namespace

void Report::progress(const Totals& totals) {
    print_line("{\"type\":\"progress\",\"schedules\":" + std::to_string(totals.num_schedules) +
               ",\"distinct\":" + std::to_string(totals.num_distinct) + "}");
}

bool Report::finding(const Finding& finding, const Schedule& schedule) {
    if (!seen_.insert(finding.detector + ("\n" + finding.key)).second) return false;
    std::string line = "{\"type\":\"finding\",\"detector\":" + quoted(finding.detector) +
                       ",\"key\":" + quoted(finding.key) + ",\"seed\":" + std::to_string(schedule.seed) +
                       ",\"policy\":" + quoted(schedule.policy);
    if (schedule.execution != 0) line += ",\"execution\":" + std::to_string(schedule.execution);
    line += ",\"message\":" + quoted(finding.message) + ",\"places\":[";
    for (size_t i = 0; i < finding.places.size(); ++i) line += (i == 0 ? "" : ",") + json_of(finding.places[i]);
    print_line(line + "],\"remedy\":" + quoted(finding.remedy) + "}");
    return true;
}

void Report::summary(const Totals& totals) {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    char line[512];
    std::snprintf(line, sizeof line,
                  "{\"type\":\"summary\",\"schedules\":%" PRIu64 ",\"distinct\":%" PRIu64 ",\"steps\":%" PRIu64
                  ",\"seconds\":%.3f,\"maxRssBytes\":%" PRIu64 ",\"findings\":%" PRIu64 ",\"failed\":%" PRIu64 "}",
                  totals.num_schedules, totals.num_distinct, totals.num_steps, totals.seconds,
                  static_cast<uint64_t>(usage.ru_maxrss) * 1024, totals.num_findings, totals.num_failed);
    print_line(line);
}

}  // namespace epgen::verify
