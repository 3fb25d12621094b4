#pragma once

#include <string>

#include "base/time.h"

namespace berth::platform {

/// What marks a program that this process runs: NAME=PID.STARTTIME, inherited by what it starts.
std::string caller_mark();

/// Programs that a killed Berth was running (those of `run_process`) go on without it, and would
/// change the machine under the hands of the next. Waits until all of them have ended; what has not
/// by `limit` is killed. Returns how many there were. Those of a Berth that lives are left alone.
int settle_orphans(Duration limit);

}  // namespace berth::platform
