#include "cli/serving/service_file.h"

#include <fmt/format.h>

#include "cli/simulate/commands.h"
#include "documents/service_document.h"
#include "objects/yaml.h"

namespace berth::cli {

Result<> read_service(const std::string& path, core::ScaledService& service) {
  BERTH_TRY(const std::string text, read_text_file(path));
  BERTH_TRY(const auto parsed, objects::parse_yaml(text, path));
  if (parsed.size() != 1 || objects::find_string(parsed[0].value, {"kind"}) != "ModelService")
    return fail(ErrorCode::kInvalid, "not one document of kind ModelService", path,
                "give the service's manifest");
  return documents::read_scaled_service(parsed[0].value, path, service);
}

}  // namespace berth::cli
