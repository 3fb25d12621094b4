#include "node/network/cni.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "base/quantity.h"
#include "base/text.h"
#include "platform/deadline.h"
#include "platform/process.h"

namespace berth::node {
namespace {

namespace fs = std::filesystem;
using objects::find_array;
using objects::find_bool;
using objects::find_string;

constexpr std::array<std::string_view, 4> kVersions = {"0.3.0", "0.3.1", "0.4.0", "1.0.0"};
constexpr Duration kPluginTimeout = Duration::seconds(30);

Result<Json> parse(std::string_view text, const std::string& where) {
  boost::system::error_code error;
  Json value = boost::json::parse({text.data(), text.size()}, error);
  if (error) return fail(ErrorCode::kInvalid, "cannot be read as JSON: " + error.message(), where);
  if (!value.is_object()) return fail(ErrorCode::kInvalid, "not a JSON object", where);
  return value;
}

std::string without_prefix_length(std::string_view address) {
  return std::string(address.substr(0, address.find('/')));
}

Result<CniPlugin> read_plugin(const Json& conf, const std::string& where) {
  const std::string type(find_string(conf, {"type"}));
  // The type names a program below the plugin directories, nothing else.
  if (type.empty() || type.find('/') != std::string::npos || type.starts_with('.'))
    return fail(ErrorCode::kInvalid,
                fmt::format("a plugin's `type` is missing or wrong: `{}`", type), where,
                "give the name of a program in the plugin directory, such as `bridge`");
  return CniPlugin{type, conf.as_object()};
}

/// The error that a plugin writes to its standard output, or what else it said.
std::string plugin_error(const platform::ProcessResult& result) {
  boost::system::error_code error;
  const Json answer = boost::json::parse(result.output, error);
  if (!error && answer.is_object() && !find_string(answer, {"msg"}).empty()) {
    const std::string details(find_string(answer, {"details"}));
    return std::string(find_string(answer, {"msg"})) + (details.empty() ? "" : ": " + details);
  }
  const std::string_view text = trim(result.errors.empty() ? result.output : result.errors);
  if (!text.empty()) return std::string(text.substr(text.rfind('\n') + 1));
  return fmt::format("exit code {}", result.exit_code);
}

struct Rate {
  uint64_t bits_per_second = 0;
  uint64_t burst_bits = 0;
};

Result<Rate> parse_rate(const std::string& text, const std::string& annotation) {
  const auto quantity = Quantity::parse(text);
  constexpr int64_t kLeast = 1'000;
  constexpr int64_t kMost = 1'000'000'000'000'000;
  if (!quantity || quantity->units() < kLeast || quantity->units() > kMost)
    return fail(ErrorCode::kInvalid, fmt::format("`{}` is not a bandwidth", text), annotation,
                "give bits per second between 1k and 1P, such as `100M`");
  Rate rate{.bits_per_second = static_cast<uint64_t>(quantity->units()), .burst_bits = 0};
  // A tenth of a second at full rate: long enough for the token bucket to reach the rate, short
  // enough that a short transfer feels the limit too. The plugin takes at most 32 bits of bytes.
  rate.burst_bits = std::clamp<uint64_t>(rate.bits_per_second / 10, 512 * 1024, 8ULL << 30);
  return rate;
}

}  // namespace

Result<CniConfig> parse_cni_config(std::string_view text, const std::string& where) {
  BERTH_TRY(const Json root, parse(text, where));
  CniConfig config;
  config.name = find_string(root, {"name"});
  config.version = find_string(root, {"cniVersion"}, "0.4.0");
  config.disable_check = find_bool(root, {"disableCheck"});
  if (config.name.empty())
    return fail(ErrorCode::kInvalid, "the network has no `name`", where, "add \"name\": \"...\"");
  if (std::ranges::find(kVersions, config.version) == kVersions.end())
    return fail(ErrorCode::kUnsupported,
                fmt::format("cniVersion `{}` is not supported", config.version), where,
                fmt::format("use one of {}", fmt::join(kVersions, ", ")));
  if (root.as_object().contains("plugins")) {
    for (const Json& conf : find_array(root, {"plugins"})) {
      if (!conf.is_object())
        return fail(ErrorCode::kInvalid, "a plugin is not a JSON object", where);
      BERTH_TRY(CniPlugin plugin, read_plugin(conf, where));
      config.plugins.push_back(std::move(plugin));
    }
    if (config.plugins.empty())
      return fail(ErrorCode::kInvalid, "the network has no plugins", where,
                  "add one to the list `plugins`");
    return config;
  }
  BERTH_TRY(CniPlugin plugin, read_plugin(root, where));
  config.plugins.push_back(std::move(plugin));
  return config;
}

Result<CniConfig> load_cni_config(const std::string& directory) {
  std::vector<fs::path> candidates;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".conflist" || extension == ".conf" || extension == ".json")
      candidates.push_back(entry.path());
  }
  if (error)
    return fail(ErrorCode::kInvalid, "cannot read the CNI configurations: " + error.message(),
                directory, "give --cni-conf-dir a directory that exists, or leave it out");
  if (candidates.empty())
    return fail(ErrorCode::kInvalid, "no CNI configuration (*.conflist, *.conf, *.json)", directory,
                "put one there, or leave out --cni-conf-dir for Berth's own bridge network");
  std::ranges::sort(candidates);
  std::ifstream file(candidates.front());
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return parse_cni_config(text, candidates.front().string());
}

std::string format_cni_config(const CniConfig& config) {
  JsonArray plugins;
  for (const CniPlugin& plugin : config.plugins) plugins.emplace_back(plugin.conf);
  JsonObject root;
  root["cniVersion"] = config.version;
  root["name"] = config.name;
  if (config.disable_check) root["disableCheck"] = true;
  root["plugins"] = std::move(plugins);
  return boost::json::serialize(root);
}

Result<CniResult> parse_cni_result(std::string_view text) {
  BERTH_TRY(Json root, parse(text, "result of a CNI plugin"));
  CniResult result;
  for (const Json& ip : find_array(root, {"ips"})) {
    const std::string_view address = find_string(ip, {"address"});
    if (!address.empty()) result.ips.push_back(without_prefix_length(address));
  }
  result.raw = std::move(root);
  return result;
}

Json cni_plugin_input(const CniConfig& config, const CniPlugin& plugin,
                      const JsonObject& capabilities, const Json& previous) {
  JsonObject input = plugin.conf;
  JsonObject runtime;
  if (const Json* declared = plugin.conf.if_contains("capabilities");
      declared != nullptr && declared->is_object()) {
    for (const auto& [name, enabled] : declared->as_object()) {
      const Json* argument = capabilities.if_contains(name);
      if (argument != nullptr && enabled.is_bool() && enabled.as_bool()) runtime[name] = *argument;
    }
  }
  input.erase("capabilities");
  input["cniVersion"] = config.version;
  input["name"] = config.name;
  if (!runtime.empty()) input["runtimeConfig"] = std::move(runtime);
  if (!previous.is_null()) input["prevResult"] = previous;
  return input;
}

Result<JsonObject> bandwidth_capability(const std::string& ingress, const std::string& egress) {
  JsonObject limits;
  if (!ingress.empty()) {
    BERTH_TRY(const Rate rate, parse_rate(ingress, "kubernetes.io/ingress-bandwidth"));
    limits["ingressRate"] = rate.bits_per_second;
    limits["ingressBurst"] = rate.burst_bits;
  }
  if (!egress.empty()) {
    BERTH_TRY(const Rate rate, parse_rate(egress, "kubernetes.io/egress-bandwidth"));
    limits["egressRate"] = rate.bits_per_second;
    limits["egressBurst"] = rate.burst_bits;
  }
  JsonObject capability;
  if (!limits.empty()) capability["bandwidth"] = std::move(limits);
  return capability;
}

Cni::Cni(std::vector<std::string> plugin_dirs) : plugin_dirs_(std::move(plugin_dirs)) {}

Result<std::string> Cni::find(const std::string& type) const {
  for (const std::string& directory : plugin_dirs_) {
    std::string path = directory + "/" + type;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return fail(ErrorCode::kUnsupported, fmt::format("the CNI plugin `{}` is not installed", type),
              fmt::format("{}", fmt::join(plugin_dirs_, ":")),
              "install it (Debian and Ubuntu: `apt install containernetworking-plugins`)");
}

Result<std::string> Cni::run(const std::string& command, const CniPlugin& plugin,
                             const CniAttachment& attachment, const Json& input) const {
  BERTH_TRY(const std::string program, find(plugin.type));
  platform::ProcessOptions options;
  options.argv = {program};
  options.env.push_back("CNI_COMMAND=" + command);
  options.env.push_back(fmt::format("CNI_PATH={}", fmt::join(plugin_dirs_, ":")));
  if (command != "VERSION") {
    options.env.push_back("CNI_CONTAINERID=" + attachment.container_id);
    options.env.push_back("CNI_NETNS=" + attachment.netns);
    options.env.push_back("CNI_IFNAME=" + attachment.interface);
    std::string args = "IgnoreUnknown=1";
    for (const auto& [name, value] : attachment.args) args += ";" + name + "=" + value;
    options.env.push_back("CNI_ARGS=" + args);
  }
  options.input = boost::json::serialize(input);
  options.timeout = kPluginTimeout;
  options.reaper = reaper_.get();
  const platform::Stopwatch took;
  BERTH_TRY(platform::ProcessResult result, platform::run_process(options));
  spdlog::debug("node: {} {} {} took {} us", plugin.type, command, attachment.container_id,
                took.elapsed().ns / 1000);
  const std::string where = fmt::format("CNI plugin {} {}", plugin.type, command);
  if (result.timed_out)
    return fail(ErrorCode::kTimeout,
                fmt::format("did not end within {}", format_duration(kPluginTimeout)), where);
  if (result.exit_code != 0) return fail(ErrorCode::kInternal, plugin_error(result), where);
  return std::move(result.output);
}

Result<> Cni::validate(const CniConfig& config) const {
  for (const CniPlugin& plugin : config.plugins) {
    JsonObject input;
    input["cniVersion"] = config.version;
    BERTH_TRY(const std::string output, run("VERSION", plugin, {}, input));
    BERTH_TRY(const Json answer, parse(output, "CNI plugin " + plugin.type + " VERSION"));
    const JsonArray& supported = find_array(answer, {"supportedVersions"});
    const bool known = std::ranges::any_of(supported, [&](const Json& version) {
      return version.is_string() && std::string_view(version.as_string()) == config.version;
    });
    if (!known)
      return fail(ErrorCode::kUnsupported,
                  fmt::format("the CNI plugin `{}` does not speak cniVersion {} of network `{}`",
                              plugin.type, config.version, config.name),
                  "", "change `cniVersion` of the network, or the plugin");
  }
  return {};
}

Result<CniResult> Cni::add(const CniConfig& config, const CniAttachment& attachment) const {
  Json previous;
  for (const CniPlugin& plugin : config.plugins) {
    const Json input = cni_plugin_input(config, plugin, attachment.capabilities, previous);
    auto output = run("ADD", plugin, attachment, input);
    auto result = output ? parse_cni_result(*output) : std::unexpected(output.error());
    if (!result) {
      // The whole chain, as the specification asks: DEL is idempotent.
      (void)del(config, attachment, previous);
      return std::unexpected(std::move(result).error());
    }
    previous = std::move(result->raw);
  }
  return parse_cni_result(boost::json::serialize(previous));
}

Result<> Cni::del(const CniConfig& config, const CniAttachment& attachment,
                  const Json& result) const {
  Result<> first_error;
  for (auto plugin = config.plugins.rbegin(); plugin != config.plugins.rend(); ++plugin) {
    const Json input = cni_plugin_input(config, *plugin, attachment.capabilities, result);
    auto output = run("DEL", *plugin, attachment, input);
    if (!output && first_error) first_error = std::unexpected(std::move(output).error());
  }
  return first_error;
}

Result<> Cni::check(const CniConfig& config, const CniAttachment& attachment,
                    const Json& result) const {
  if (config.disable_check) return {};
  for (const CniPlugin& plugin : config.plugins) {
    const Json input = cni_plugin_input(config, plugin, attachment.capabilities, result);
    BERTH_TRY([[maybe_unused]] const std::string output, run("CHECK", plugin, attachment, input));
  }
  return {};
}

}  // namespace berth::node
