// Explores the orders in which threads may operate on shared words: one run for every class of orders that differ in
// more than the order of operations that commute.
//
// This is source-set dynamic partial-order reduction (Abdulla, Aronsson, Jonsson, Sagonas: "Source sets: a foundation
// for optimal dynamic partial order reduction", J. ACM 2017) with sleep sets. Two operations conflict when they touch
// the same word, one of them writes, and they are not both additions that return nothing. A wait is one operation, its
// last load: that a word has not come yet is no operation. Since a write can also keep a wait from ending, a wait is
// compared with the writes of its word even where it doesn't end.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "simt/steering.hpp"

namespace epgen::verify {

/// Operations by their index in a run, one bit each.
class OperationSet {
public:
    void add(size_t operation) {
        if (operation / 64 >= words_.size()) words_.resize(operation / 64 + 1);
        words_[operation / 64] |= uint64_t{1} << operation % 64;
    }
    bool has(size_t operation) const {
        return operation / 64 < words_.size() && (words_[operation / 64] >> operation % 64 & 1) != 0;
    }
    void add_all(const OperationSet& more) {
        if (words_.size() < more.words_.size()) words_.resize(more.words_.size());
        for (size_t i = 0; i < more.words_.size(); ++i) words_[i] |= more.words_[i];
    }

private:
    std::vector<uint64_t> words_;
};

/// Steers one run after the other of the same program, on a machine of one seed, until it has seen every class.
class Explorer : public simt::Steering {
public:
    /// Before a run; false when there is none left.
    bool start_run();
    /// After it. Whether the run was one of a class that was not seen before.
    bool end_run();

    uint64_t num_classes() const { return classes_.size(); }
    uint64_t num_runs() const { return num_runs_; }
    uint64_t num_operations() const { return num_operations_; }
    /// Whether a run went another way than the one before it: then nothing is known.
    bool has_diverged() const { return has_diverged_; }

    void wait_starts(const simt::WordOperation& wait) override;
    size_t choose(const std::vector<simt::WordOperation>& pending) override;
    void block_starts(const simt::Block& block) override;
    void block_ends(const simt::Block& block) override;
    void meet(simt::Fiber* const* fibers, uint32_t count) override;
    void mbarrier_arrive(const simt::Fiber& fiber, const void* mbarrier) override;
    void mbarrier_phase_ends(const void* mbarrier) override;
    void mbarrier_pass(const simt::Fiber& fiber, const void* mbarrier) override;

private:
    using Thread = uint64_t;  // rank, block and thread, over all kernels

    /// What a thread does, or would do.
    struct Operation {
        Thread thread;
        const void* word;
        bool is_write;
        bool is_blind_add;
    };

    /// A choice, with what was and has to be chosen at this place of the run.
    struct Choice {
        std::vector<Operation> pending;
        std::vector<Operation> sleeping;  // whatever begins with these has been seen
        std::vector<Thread> wanted;
        Operation chosen;
    };

    /// An operation of the run so far.
    struct Done {
        Operation operation;
        OperationSet before;  // what it must come after, and itself
        uint64_t value;       // of its word, before
        uint32_t bytes;
        uint64_t hash;  // of the order that led to it
    };

    /// A wait that goes on, and what its thread knew when it began.
    struct Wait {
        Operation operation;
        const simt::WordCondition* condition;
        OperationSet before;
    };

    static bool conflict(const Operation& a, const Operation& b);
    static Operation operation_of(const simt::WordOperation& pending);
    void perform(const simt::WordOperation& operation);
    bool may_come_first(const simt::WordOperation& later, size_t earlier, uint64_t value) const;
    uint64_t value_after(size_t done, uint64_t value_now) const;
    void want_reversal(size_t earlier, const Operation& later, const OperationSet& before_later);
    static const Operation* find(const std::vector<Operation>& operations, Thread thread);
    OperationSet& known_to(const simt::Fiber& fiber);

    std::vector<Choice> choices_;  // of the run, a prefix of which the next one repeats
    size_t num_repeated_ = 0;
    bool is_first_ = true;
    bool is_redundant_ = false;  // the run can only bring what was seen
    bool has_diverged_ = false;
    uint64_t num_runs_ = 0;
    uint64_t num_operations_ = 0;  // of the longest run
    std::unordered_set<uint64_t> classes_;

    // Of the run
    std::vector<Done> done_;
    std::vector<Wait> waits_;
    std::map<const void*, std::vector<size_t>> by_word_;
    std::unordered_map<Thread, OperationSet> known_;
    std::map<uint32_t, OperationSet> known_to_stream_;
    std::map<const void*, OperationSet> arrived_, passed_;
};

}  // namespace epgen::verify
