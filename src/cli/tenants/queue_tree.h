#pragma once

#include <string>
#include <vector>

#include "objects/json.h"

namespace berth::cli {

/// Queues as an indented tree: what each is guaranteed, limited to, weighs and holds, and how many
/// pods of it run and wait. Queues whose parent is not there stand at the root.
std::string queue_tree(const std::vector<Json>& queues);

}  // namespace berth::cli
