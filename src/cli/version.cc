#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/server/api.h"
#include "objects/json_text.h"

namespace berth::cli {
namespace {

constexpr std::string_view kVersion = "0.1.0";

}  // namespace

void add_version(CLI::App& root, const Globals& globals, int& exit_code) {
  auto client_only = std::make_shared<bool>(false);
  auto* command = root.add_subcommand("version", "Print the versions of client and server");
  command->add_flag("--client", *client_only, "Only this program's");
  command->footer("Example:\n  berth version --client");
  command->callback([&globals, &exit_code, client_only] {
    fmt::print("berth {}\n", kVersion);
    exit_code = 0;
    if (*client_only) return;
    const Result<Api> api = Api::open(globals);
    const Result<Json> server =
        api ? api->get("/version") : Result<Json>(fail(ErrorCode::kUnavailable, api.error().what));
    if (server) {
      fmt::print("server {} ({})\n", objects::find_string(*server, {"gitVersion"}),
                 api->endpoint().source);
    } else {
      fmt::print("server: {}\n", server.error().what);
    }
  });
}

}  // namespace berth::cli
