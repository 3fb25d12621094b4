#include "app/serve.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "app/configuration.h"
#include "app/logs.h"
#include "app/machine.h"
#include "app/signals.h"
#include "base/subnet.h"
#include "objects/names.h"

namespace berth::app {
namespace {

struct ServeOptions {
  MachineOptions machine;
  std::string config;  ///< a file; empty: none
  std::string log_level = "info";
  std::string log_format = "text";
  bool drain = false;
};

std::string default_data_dir() {
  if (geteuid() == 0) return "/var/lib/berth";
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : "/tmp") + "/.local/share/berth";
}

/// This machine's name as a DNS name, in which case does not count and `_` is not allowed.
std::string default_node_name() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "localhost";
  std::string dns = name;
  for (char& c : dns) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == '_') c = '-';
  }
  return dns;
}

/// What is wrong with the path of a cgroup, which is not the root: that is everybody's.
std::string cgroup_path(const std::string& text) {
  const std::filesystem::path path(text);
  if (path.is_absolute() && path.has_filename() && path.lexically_normal() == path &&
      path != path.root_path())
    return {};
  return fmt::format("`{}` is not the path of a cgroup, such as /berth", text);
}

std::string existing_folder(const std::string& text) {
  std::error_code unreadable;
  return std::filesystem::is_directory(text, unreadable)
             ? std::string()
             : fmt::format("`{}` is no directory; give one that is there", text);
}

std::string node_name(const std::string& text) {
  const auto wrong = objects::check_dns_subdomain(text);
  return wrong ? fmt::format("`{}` is no name of a node: {}", text, *wrong) : std::string();
}

std::string subnet(const std::string& text) {
  const auto parsed = parse_subnet(text);
  return parsed ? std::string() : parsed.error().to_string();
}

int report(const Error& error) {
  fmt::print(stderr, "berth serve: {}\n", error.to_string());
  return error.code == ErrorCode::kInvalid ? 2 : 1;
}

int refuse(const ConfigurationErrors& errors) {
  for (const Error& error : errors) fmt::print(stderr, "{}\n", error.to_string());
  fmt::print(stderr, "error: {} problem{} found, nothing was started\n", errors.size(),
             errors.size() == 1 ? "" : "s");
  return 2;
}

/// Reads the file again. A bad one changes nothing, and says so.
void reload(const std::string& file, Configuration& configuration, Machine& machine) {
  auto fresh = load_configuration(file);
  if (!fresh) {
    std::string message =
        fmt::format("{} is not taken over; what was read before stays in force", file);
    for (const Error& error : fresh.error()) message += "\n" + error.to_string();
    return machine.tell(/*warning=*/true, "ConfigurationRefused", message);
  }
  if (const auto done = machine.configure(*fresh); !done)
    return machine.tell(true, "ConfigurationRefused", done.error().to_string());
  const bool same = configuration == *fresh;
  configuration = *std::move(fresh);
  machine.tell(
      /*warning=*/false, "ConfigurationReloaded",
      fmt::format("{} was read again{}", file, same ? "; it says what it said before" : ""));
}

/// Until told to stop. SIGHUP reads the configuration again; without one it stops like the others,
/// as when a terminal is closed.
void attend(const ServeOptions& options, const Signals& signals, const Clock& clock,
            Machine& machine) {
  Configuration configuration = options.machine.configuration;
  while (true) {
    const auto price = next_price(configuration, clock.now());
    // Not in one go, because the clock may be set.
    const int signal = signals.wait(
        price ? std::optional(std::min(*price - clock.now(), Duration::minutes(1))) : std::nullopt);
    if (signal == SIGHUP && !options.config.empty()) {
      reload(options.config, configuration, machine);
    } else if (signal == SIGHUP && signals.ignores_hangup()) {
      continue;
    } else if (signal != 0) {
      return;
    } else if (const auto done = machine.configure(configuration); !done) {
      spdlog::warn("{}", done.error().to_string());
    }
  }
}

int serve(ServeOptions& options, const Clock& clock) {
  const Signals signals;
  set_up_logs(options.log_level, options.log_format);
  if (!options.config.empty()) {
    auto configuration = load_configuration(options.config);
    if (!configuration) return refuse(configuration.error());
    options.machine.configuration = *std::move(configuration);
  }
  auto machine = Machine::start(options.machine, clock);
  if (!machine) return report(machine.error());
  for (const std::string& remark : (*machine)->remarks()) spdlog::info("{}", remark);
  fmt::print("Berth serves {}; kubeconfig {}\n", (*machine)->address(), (*machine)->kubeconfig());
  std::fflush(stdout);

  (*machine)->warn_of_troubles();
  attend(options, signals, clock, **machine);
  spdlog::info("stopping");
  if (const size_t running = (*machine)->stop(options.drain); running > 0)
    fmt::print(stderr,
               "{} {} running without Berth; the next `berth serve` on {} adopts {}.\n"
               "To stop them as well: `berth serve --drain`, or delete them first.\n",
               running, running == 1 ? "pod goes on" : "pods go on", options.machine.data_dir,
               running == 1 ? "it" : "them");
  return 0;
}

}  // namespace

void add_serve(CLI::App& root, const Clock& clock, int& exit_code) {
  auto options = std::make_shared<ServeOptions>();
  MachineOptions& machine = options->machine;
  machine.data_dir = default_data_dir();
  machine.node_name = default_node_name();
  auto* command =
      root.add_subcommand("serve", "Run this machine: API server, scheduler, containers");
  command->add_option("--data", machine.data_dir, "Folder for everything that Berth keeps")
      ->type_name("DIR")
      ->capture_default_str();
  command
      ->add_option("--config", options->config,
                   "A BerthConfiguration: placement, defaults of queues, prices. "
                   "Read again on SIGHUP")
      ->type_name("FILE");
  command
      ->add_option("--port", machine.port,
                   "TCP port of the API; 0: as the last time, at first a free one")
      ->type_name("PORT")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  command->add_option("--address", machine.address, "Address to listen on")
      ->type_name("ADDRESS")
      ->capture_default_str();
  command->add_option("--node-name", machine.node_name, "Name of this machine")
      ->type_name("NAME")
      ->check(node_name)
      ->capture_default_str();
  command
      ->add_option("--emulate-device", machine.emulated_devices,
                   "Pretend to have devices, for trying things out: nvidia.com/gpu=4:80Gi")
      ->type_name("RESOURCE=COUNT:MEMORY");
  command
      ->add_option("--host-dir", machine.host_dirs,
                   "Show this directory in the image `host`, read-only, beside the system's own")
      ->type_name("DIR")
      ->check(existing_folder);
  command->add_flag("--allow-host-path,!--no-allow-host-path", machine.allow_host_path,
                    "Let pods mount directories of this machine (hostPath)");
  command->add_flag("--allow-host-network", machine.allow_host_network,
                    "Let pods use this machine's network, and its process and IPC namespaces");
  command->add_flag("--allow-privileged", machine.allow_privileged, "Let pods be privileged");
  command
      ->add_option("--cgroup-root", machine.cgroup_root,
                   "Cgroup for the pods, such as one that a service manager leaves to Berth")
      ->type_name("PATH")
      ->check(cgroup_path)
      ->capture_default_str();
  command
      ->add_option("--cni-conf-dir", machine.cni_conf_dir,
                   "Use the CNI network configured there, not a bridge of Berth's own")
      ->type_name("DIR")
      ->check(existing_folder);
  command
      ->add_option("--pod-subnet", machine.pod_subnet, "Addresses of pods, such as 10.210.0.0/16")
      ->type_name("SUBNET")
      ->check(subnet);
  command
      ->add_option("--service-subnet", machine.service_subnet,
                   "Addresses of Services: 10.96.0.0/16, or the next that is free")
      ->type_name("SUBNET");
  command->add_flag("--drain", options->drain, "Stop all pods when Berth is stopped");
  add_log_options(*command, options->log_level, options->log_format);
  command->footer(
      "Examples:\n"
      "  sudo berth serve\n"
      "  sudo berth serve --data /tmp/try --port 0 --emulate-device nvidia.com/gpu=4:80Gi\n"
      "  sudo berth serve --config examples/configuration.yaml");
  command->callback([options, &clock, &exit_code] {
    options->machine.data_dir =
        std::filesystem::absolute(options->machine.data_dir).lexically_normal();
    exit_code = serve(*options, clock);
  });
}

}  // namespace berth::app
