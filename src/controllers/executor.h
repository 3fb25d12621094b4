#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/api_client.h"
#include "controllers/expectations.h"
#include "controllers/write.h"
#include "platform/event_loop.h"

namespace berth::controllers {

/// What became of one round of writes.
struct RoundResult {
  std::vector<Expected> expected;
  std::vector<Note> notes;
  bool conflicted = false;  ///< somebody else was faster; look again soon
  std::string failure;      ///< the first refusal that was not a conflict; empty when none
  bool created_any = false;
};

/// Carries out a round of writes. Writes to one object go one after the other; those to different
/// objects side by side; creates in batches that double while they succeed, so that a full quota is
/// asked a few times rather than hundreds. Calls `done` once, on the loop.
void carry_out(client::ApiClient& client, std::shared_ptr<platform::EventLoop> loop,
               std::vector<Write> writes, std::function<void(RoundResult)> done);

}  // namespace berth::controllers
