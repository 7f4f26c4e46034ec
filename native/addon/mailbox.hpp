// Brings outcomes from the backend's thread to the JS thread.
#pragma once

#include <napi.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/outcome.hpp"

namespace epgen::addon {

/// `post` may be called from any thread; everything else belongs to the JS thread.
class Mailbox {
public:
    using Receiver = std::function<void(Napi::Env env, uint64_t id, Outcome outcome)>;

    static std::shared_ptr<Mailbox> open(Napi::Env env, Receiver receiver) {
        auto mailbox = std::make_shared<Mailbox>();
        mailbox->receiver_ = std::move(receiver);
        auto* kept = new std::shared_ptr<Mailbox>(mailbox);
        mailbox->wake_ = Wake::New(env, "epgen", 0, 1, kept, [](Napi::Env, void*, Kept* kept) { delete kept; },
                                   static_cast<void*>(nullptr));
        mailbox->wake_.Unref(env);
        return mailbox;
    }

    void post(uint64_t id, Outcome outcome) {
        const std::lock_guard lock(mutex_);
        if (closed_) return;
        letters_.push_back({id, std::move(outcome)});
        if (letters_.size() == 1) wake_.NonBlockingCall();
    }

    /// Whether the process has to live on for what may still be posted.
    void keep_alive(Napi::Env env, bool wanted) { wanted ? wake_.Ref(env) : wake_.Unref(env); }

    /// Delivers nothing from now on. With `environment_ends`, Node itself takes the wake-up function down.
    void close(bool environment_ends) {
        const std::lock_guard lock(mutex_);
        if (std::exchange(closed_, true)) return;
        letters_.clear();
        receiver_ = nullptr;
        if (!environment_ends) wake_.Release();
    }

private:
    using Kept = std::shared_ptr<Mailbox>;

    static void deliver(Napi::Env env, Napi::Function, Kept* kept, void*) {
        if (napi_env(env) == nullptr) return;  // the environment ends; `kept` is gone
        const Kept mailbox = *kept;
        std::vector<Letter> letters;
        {
            const std::lock_guard lock(mailbox->mutex_);
            letters.swap(mailbox->letters_);
        }
        try {
            for (Letter& letter : letters) {
                if (mailbox->receiver_) mailbox->receiver_(env, letter.id, std::move(letter.outcome));
            }
        } catch (const Napi::Error&) {
            // A worker is being terminated: JavaScript can't run any more, so nobody is left to be told.
        }
    }

    struct Letter {
        uint64_t id;
        Outcome outcome;
    };
    using Wake = Napi::TypedThreadSafeFunction<Kept, void, &Mailbox::deliver>;

    std::mutex mutex_;
    Receiver receiver_;
    std::vector<Letter> letters_;
    bool closed_ = false;
    Wake wake_;
};

}  // namespace epgen::addon
