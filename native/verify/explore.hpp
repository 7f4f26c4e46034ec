// `verify --explore`: small sequences of calls, each in every order that makes a difference.
#pragma once

#include "runtime/module.hpp"
#include "verify/options.hpp"

namespace epgen::verify {

/// Prints findings and, at the end, what was explored. Returns the exit status.
int explore(const Module& module, const Options& options);

}  // namespace epgen::verify
