#include "cli/serving/profile_file.h"

#include <fmt/format.h>

#include "cli/simulate/commands.h"
#include "documents/profile_document.h"
#include "objects/yaml.h"

namespace berth::cli {

Result<core::ServingProfile> read_profile(const std::string& path) {
  BERTH_TRY(const std::string text, read_text_file(path));
  BERTH_TRY(const auto parsed, objects::parse_yaml(text, path));
  if (parsed.size() != 1)
    return fail(ErrorCode::kInvalid, fmt::format("{} documents", parsed.size()), path,
                "give a file with one ServingProfile");
  return documents::profile_from_document(parsed[0].value, path);
}

}  // namespace berth::cli
