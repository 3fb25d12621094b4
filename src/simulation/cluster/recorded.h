#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "core/model/event.h"
#include "simulation/cluster/cluster.h"

namespace berth::simulation {

/// What a journal tells of the past, as a workload that can be run under another policy.
struct Recorded {
  Workload workload;
  core::PolicySet policy;  ///< the last that was in force
  Duration length;         ///< from the first to the last decision
  ClusterResult result;    ///< what did happen

  // What is assumed of jobs whose whole length the journal does not have:
  size_t endless = 0;    ///< still ran at its end: go on for ever
  size_t guessed = 0;    ///< never started: run as long as was expected, or as their owner's others
  size_t unknown = 0;    ///< never started, and nothing says for how long: for ever, once started
  size_t cancelled = 0;  ///< were removed before they started: left out
};

/// A part of a journal: the text of a segment, and its name for errors.
struct JournalText {
  std::string name;
  std::string text;
};

/// Reads segments, oldest first. A job (see JobHistory) runs as long as its last run did, and what
/// earlier runs saved in checkpoints. Nodes, queues and pods that Berth only sees change when they
/// did. Fails where a segment is not a journal, with its name and line, and where no time passes
/// between the first and the last decision.
Result<Recorded> read_recorded(const std::vector<JournalText>& segments);

}  // namespace berth::simulation
