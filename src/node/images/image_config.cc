#include "node/images/image_config.h"

#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <sys/utsname.h>

#include "objects/json.h"

namespace berth::node {
namespace {

using objects::find_array;
using objects::find_string;

std::vector<std::string> strings(const Json& root, std::string_view name) {
  std::vector<std::string> result;
  for (const Json& item : find_array(root, {"config", name})) {
    if (item.is_string()) result.emplace_back(item.as_string());
  }
  return result;
}

}  // namespace

std::string host_architecture() {
  utsname name{};
  ::uname(&name);
  const std::string_view machine = name.machine;
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  return std::string(machine);
}

Result<ImageConfig> parse_image_config(std::string_view text, std::string_view architecture) {
  boost::system::error_code error;
  const Json root = boost::json::parse({text.data(), text.size()}, error);
  if (error || !root.is_object())
    return fail(ErrorCode::kInvalid, "the image's configuration cannot be read as JSON", "",
                "the image is damaged: build, save or pull it again");
  const std::string_view os = find_string(root, {"os"}, "linux");
  const std::string_view built_for = find_string(root, {"architecture"}, architecture);
  if (os != "linux" || built_for != architecture)
    return fail(ErrorCode::kUnsupported,
                fmt::format("the image is for {}/{}, and this machine is linux/{}", os, built_for,
                            architecture),
                "", fmt::format("use an image for linux/{}", architecture));
  ImageConfig config;
  config.env = strings(root, "Env");
  config.entrypoint = strings(root, "Entrypoint");
  config.cmd = strings(root, "Cmd");
  config.user = find_string(root, {"config", "User"});
  config.working_dir = find_string(root, {"config", "WorkingDir"});
  config.stop_signal = find_string(root, {"config", "StopSignal"});
  return config;
}

}  // namespace berth::node
