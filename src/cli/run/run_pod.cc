#include "cli/run/run_pod.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

#include "base/quantity.h"
#include "base/time.h"
#include "objects/names.h"

namespace berth::cli {
namespace {

constexpr std::array<std::string_view, 10> kPassed = {
    "PATH", "HOME",     "USER", "LOGNAME", "SHELL",
    "LANG", "LANGUAGE", "TZ",   "TERM",    "LD_LIBRARY_PATH"};
constexpr std::array<std::string_view, 16> kPassedPrefixes = {
    "LC_",      "PYTHON",      "VIRTUAL_ENV",   "CONDA_", "HF_",  "OMP_",
    "MKL_",     "OPENBLAS_",   "NCCL_",         "JAX_",   "XLA_", "TORCH_",
    "PYTORCH_", "TOKENIZERS_", "TRANSFORMERS_", "BERTH_"};

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return result;
}

Result<> add_resources(const RunOptions& options, const RunSite& site, JsonObject& container,
                       JsonObject& annotations) {
  JsonObject amounts;
  const auto add = [&](std::string_view name, const std::string& text,
                       std::string_view option) -> Result<> {
    if (text.empty()) return {};
    const auto amount = Quantity::parse(text);
    if (!amount || amount->milli() <= 0) {
      return fail(ErrorCode::kInvalid, fmt::format("`{}` is not an amount", text),
                  std::string(option), "for example 4, 500m or 16Gi");
    }
    amounts[name] = amount->to_string();
    return {};
  };
  BERTH_CHECK(add("cpu", options.cpus, "--cpus"));
  BERTH_CHECK(add("memory", options.memory, "--mem"));
  if (!options.gpus.empty()) {
    char* end = nullptr;
    const double count = std::strtod(options.gpus.c_str(), &end);
    const bool whole = count == std::floor(count);
    if (*end != '\0' || count <= 0 || (count > 1 && !whole)) {
      return fail(ErrorCode::kInvalid, fmt::format("`{}` is not a number of GPUs", options.gpus),
                  "--gpus", "give a whole number, or a share below 1 such as 0.5");
    }
    if (whole) {
      amounts[site.gpu_resource] = fmt::format("{:.0f}", count);
    } else {
      annotations["berth.dev/gpu-fraction"] = options.gpus;
    }
  }
  if (!amounts.empty())
    container["resources"] = JsonObject{{"requests", amounts}, {"limits", amounts}};
  return {};
}

Result<JsonArray> environment_of(const RunOptions& options, const RunSite& site) {
  std::map<std::string, std::string> variables;
  for (const auto& [name, value] : site.environment) {
    if (is_passed_on(name)) variables[name] = value;
  }
  for (const std::string& given : options.env) {
    const size_t equals = given.find('=');
    const std::string name = given.substr(0, equals);
    if (equals != std::string::npos) {
      variables[name] = given.substr(equals + 1);
      continue;
    }
    const auto here = site.environment.find(name);
    if (here == site.environment.end()) {
      return fail(ErrorCode::kInvalid, fmt::format("the variable {} is not set here", name),
                  "--env", "give its value: --env " + name + "=...");
    }
    variables[name] = here->second;
  }
  JsonArray env;
  for (const auto& [name, value] : variables) {
    env.push_back(JsonObject{{"name", name}, {"value", value}});
  }
  return env;
}

bool is_below(std::string_view path, std::string_view folder) {
  return path == folder ||
         (path.starts_with(folder) && path.substr(folder.size()).starts_with('/'));
}

/// A name for the pod that says what runs in it: `python train.py` gives `train-`.
std::string name_prefix(const std::vector<std::string>& command) {
  std::string word = command.front();
  for (size_t i = 1; i < command.size() && i < 3; ++i) {
    if (command[i].ends_with(".py") || command[i].ends_with(".sh")) word = command[i];
  }
  word = word.substr(word.find_last_of('/') + 1);
  const size_t dot = word.find_last_of('.');
  if (dot != std::string::npos && dot > 0) word.resize(dot);
  const std::string name = objects::suggest_dns_name(word.substr(0, 40));
  return (name.empty() ? "run" : name) + "-";
}

}  // namespace

bool is_passed_on(std::string_view name) {
  for (const std::string_view secret :
       {"TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "KEY"}) {
    if (upper(name).find(secret) != std::string::npos) return false;
  }
  return std::find(kPassed.begin(), kPassed.end(), name) != kPassed.end() ||
         std::any_of(kPassedPrefixes.begin(), kPassedPrefixes.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

Result<Json> run_pod(const RunOptions& options, const RunSite& site) {
  JsonObject metadata;
  if (options.name.empty()) {
    metadata["generateName"] = name_prefix(options.command);
  } else if (const auto wrong = objects::check_dns_subdomain(options.name)) {
    return fail(ErrorCode::kInvalid, *wrong, "--name",
                "for example " + objects::suggest_dns_name(options.name));
  } else {
    metadata["name"] = options.name;
  }
  JsonObject labels{{"app.kubernetes.io/managed-by", "berth-run"}};
  if (!options.queue.empty()) labels["berth.dev/queue"] = options.queue;
  JsonObject annotations;
  JsonObject container{{"name", "main"},
                       {"image", options.image},
                       {"command", JsonArray(options.command.begin(), options.command.end())},
                       {"workingDir", site.folder}};
  JsonObject spec{{"restartPolicy", "Never"}};
  if (!options.time.empty()) {
    BERTH_TRY(const Duration limit, parse_duration(options.time));
    if (limit < Duration::seconds(1)) {
      return fail(ErrorCode::kInvalid, "the time must be at least one second", "--time");
    }
    spec["activeDeadlineSeconds"] = limit.ns / 1'000'000'000;
    annotations["berth.dev/expected-duration"] = format_duration(limit);
  }
  BERTH_CHECK(add_resources(options, site, container, annotations));
  BERTH_TRY(JsonArray env, environment_of(options, site));
  container["env"] = std::move(env);

  JsonArray volumes;
  JsonArray mounts;
  const auto mount = [&](const std::string& folder, bool read_only) {
    const std::string name = fmt::format("folder-{}", volumes.size());
    volumes.push_back(JsonObject{
        {"name", name}, {"hostPath", JsonObject{{"path", folder}, {"type", "Directory"}}}});
    JsonObject entry{{"name", name}, {"mountPath", folder}};
    if (read_only) entry["readOnly"] = true;
    mounts.push_back(std::move(entry));
  };
  mount(site.folder, false);
  for (const std::string& folder : options.mounts) mount(folder, false);
  // A Python environment elsewhere, as in the home folder, would not be seen otherwise.
  for (const char* variable : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    const auto at = site.environment.find(variable);
    if (at == site.environment.end() || !at->second.starts_with('/')) continue;
    if (!is_below(at->second, site.folder) && !is_below(at->second, "/usr") &&
        !is_below(at->second, "/opt")) {
      mount(at->second, true);
    }
  }
  container["volumeMounts"] = std::move(mounts);
  spec["volumes"] = std::move(volumes);
  spec["containers"] = JsonArray{Json(std::move(container))};
  spec["securityContext"] =
      JsonObject{{"runAsUser", site.uid},
                 {"runAsGroup", site.gid},
                 {"supplementalGroups", JsonArray(site.groups.begin(), site.groups.end())}};
  metadata["labels"] = std::move(labels);
  if (!annotations.empty()) metadata["annotations"] = std::move(annotations);
  return JsonObject{{"apiVersion", "v1"},
                    {"kind", "Pod"},
                    {"metadata", std::move(metadata)},
                    {"spec", std::move(spec)}};
}

}  // namespace berth::cli
