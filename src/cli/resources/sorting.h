#pragma once

#include <string_view>

#include "base/error.h"
#include "objects/json.h"

namespace berth::cli {

/// Puts objects in the order of what stands at a path, as kubectl's `--sort-by` does:
/// `.spec.weight` or `{.metadata.name}`. Numbers and quantities (`512Mi` before `1Gi`) by their
/// size, else as text; first those that have nothing there. Equal ones keep their order. `in_rows`:
/// the items are rows of a table, whose objects they carry. Fails where no item has the field.
Result<> sort_by(JsonArray& items, std::string_view path, bool in_rows);

}  // namespace berth::cli
