#pragma once

#include "cli/server/api.h"
#include "objects/json.h"

namespace berth::cli {

/// Keeps SIGINT, SIGTERM and SIGHUP for `attend`. Called before the process has a second thread:
/// a signal ends the process through any thread that does not block it.
void hold_interrupts();

/// Stays with a pod until it ends: says on stderr why it waits, copies its output to stdout, stops
/// it on the first Ctrl-C and kills it on the second. Answers the exit code to pass on: the
/// command's own, 130 after Ctrl-C, 127 when there is no such command, 126 when it cannot be
/// executed, 1 when it was taken away or can never start (then the pod is deleted).
int attend(const Api& api, const Json& pod);

}  // namespace berth::cli
