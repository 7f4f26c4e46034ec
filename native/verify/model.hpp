// The plain model of an exchange, on the host: what every rank must receive and sum.
#pragma once

#include "verify/model_combine.hpp"
#include "verify/model_dispatch.hpp"
#include "verify/model_numbers.hpp"
