// The end of the process: exit() takes the CUDA runtime apart while threads of ours are alive, and whoever is inside of
// the runtime then may read what is gone. Node runs no clean-up of addons before it.
#pragma once

namespace epgen {

/// Threads pass the gate before they call the CUDA runtime. exit() closes it and waits for who is inside.
class ExitGate {
public:
    /// Lets exit() close the gate. Handlers run in reverse order, so this comes after the runtime's first call, with
    /// which it registers its own.
    static void guard();

    /// Keeps exit() waiting while it lives. At a closed gate a thread sleeps until the process is over: what it still
    /// owns is not to be freed any more.
    class Pass {
    public:
        Pass();
        ~Pass();
        Pass(const Pass&) = delete;
        Pass& operator=(const Pass&) = delete;
    };

private:
    static void close();
};

}  // namespace epgen
