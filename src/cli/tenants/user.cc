#include <memory>
#include <optional>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/output/print.h"
#include "cli/server/api.h"
#include "cli/tenants/tenants.h"
#include "objects/names.h"
#include "objects/yaml.h"
#include "platform/tls/crypto.h"

namespace berth::cli {
namespace {

struct UserOptions {
  std::string name;
  std::string queue;
  std::string guarantee;
  std::string limit;
  std::string output;
  int64_t weight = 0;
  bool no_local = false;
};

Result<> ensure(const Api& api, const objects::Kind& kind, std::string_view ns, Json object) {
  object.get_object()["apiVersion"] = kind.api_version();
  object.get_object()["kind"] = kind.kind;
  const Result<Json> made = api.create(Api::path(kind, ns), object);
  const std::string name = resource_name(kind.group, kind.singular, objects::name_of(object));
  if (made) {
    fmt::print(stderr, "{} created\n", name);
    return {};
  }
  if (made.error().code != ErrorCode::kAlreadyExists) return std::unexpected(made.error());
  fmt::print(stderr, "{} is there already\n", name);
  return {};
}

/// The user of this machine with that name, whom the local socket then knows.
std::optional<int64_t> local_uid(const std::string& name) {
  const passwd* entry = ::getpwnam(name.c_str());
  if (entry == nullptr) return std::nullopt;
  return static_cast<int64_t>(entry->pw_uid);
}

/// Never readable by others, not even for a moment.
Result<> write_private(const std::string& file, const std::string& text) {
  ::unlink(file.c_str());
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return fail(ErrorCode::kInvalid, "cannot be written", file);
  const ssize_t written = ::write(fd, text.data(), text.size());
  const bool closed = ::close(fd) == 0;
  if (!closed || written != static_cast<ssize_t>(text.size())) {
    return fail(ErrorCode::kInternal, "could not be written whole", file);
  }
  return {};
}

/// Where others reach the server: over the local socket that is what its kubeconfig says.
Result<Json> cluster_entry(const Api& api) {
  client::Connection remote = api.endpoint().connection;
  if (api.endpoint().is_local()) {
    const auto folder = remote.endpoint.local_socket.parent_path();
    BERTH_TRY(remote, client::Connection::from_kubeconfig(folder / "kubeconfig"));
  }
  const std::string& host = remote.endpoint.host;
  JsonObject cluster{
      {"server", fmt::format("{}://{}:{}", remote.endpoint.tls ? "https" : "http",
                             host.find(':') == std::string::npos ? host : "[" + host + "]",
                             remote.endpoint.port)}};
  if (!remote.ca_pem.empty()) {
    cluster["certificate-authority-data"] = platform::base64(remote.ca_pem);
  }
  if (!remote.verify_name.empty()) cluster["tls-server-name"] = remote.verify_name;
  return cluster;
}

Json kubeconfig_of(const UserOptions& options, const Json& cluster, const std::string& token) {
  return JsonObject{
      {"apiVersion", "v1"},
      {"kind", "Config"},
      {"clusters", JsonArray{JsonObject{{"name", "berth"}, {"cluster", cluster}}}},
      {"users",
       JsonArray{JsonObject{{"name", options.name}, {"user", JsonObject{{"token", token}}}}}},
      {"contexts", JsonArray{JsonObject{{"name", options.name},
                                        {"context", JsonObject{{"cluster", "berth"},
                                                               {"user", options.name},
                                                               {"namespace", options.name}}}}}},
      {"current-context", options.name}};
}

/// Somebody who was added before stays in their queue, or moves to the one that is named.
Result<std::string> queue_for(const Api& api, const UserOptions& options) {
  const std::string path = Api::path(api.kind("", "namespaces"), "", options.name);
  BERTH_TRY(const std::optional<Json> there, api.find(path));
  if (!there) return options.queue.empty() ? options.name : options.queue;
  const std::string now(
      objects::find_string(*there, {"metadata", "labels", "berth.dev/queue"}, options.name));
  if (options.queue.empty() || options.queue == now) return now;
  BERTH_CHECK(api.patch(
      path, JsonObject{{"metadata",
                        JsonObject{{"labels", JsonObject{{"berth.dev/queue", options.queue}}}}}}));
  fmt::print(stderr, "{} moves from queue {} to {}\n", options.name, now, options.queue);
  return options.queue;
}

Result<> add(const Globals& globals, const UserOptions& options) {
  if (const auto wrong = objects::check_dns_label(options.name)) {
    return fail(ErrorCode::kInvalid, "`" + options.name + "` cannot be a user name: " + *wrong, "",
                "use lower-case letters, digits and dashes");
  }
  BERTH_TRY(const Api api, Api::open(globals));
  BERTH_TRY(const std::string queue, queue_for(api, options));
  BERTH_TRY(const Json spec,
            queue_spec({queue, "", options.guarantee, options.limit, "", options.weight}));
  BERTH_TRY(const Json cluster, cluster_entry(api));

  BERTH_CHECK(ensure(api, api.kind("berth.dev", "queues"), "",
                     JsonObject{{"metadata", JsonObject{{"name", queue}}}, {"spec", spec}}));
  BERTH_CHECK(ensure(
      api, api.kind("", "namespaces"), "",
      JsonObject{{"metadata", JsonObject{{"name", options.name},
                                         {"labels", JsonObject{{"berth.dev/queue", queue}}}}}}));
  BERTH_CHECK(
      ensure(api, api.kind("rbac.authorization.k8s.io", "rolebindings"), options.name,
             JsonObject{{"metadata", JsonObject{{"name", "owner"}, {"namespace", options.name}}},
                        {"roleRef", JsonObject{{"apiGroup", "rbac.authorization.k8s.io"},
                                               {"kind", "ClusterRole"},
                                               {"name", "edit"}}},
                        {"subjects", JsonArray{JsonObject{{"apiGroup", "rbac.authorization.k8s.io"},
                                                          {"kind", "User"},
                                                          {"name", options.name}}}}}));
  JsonObject user{{"name", options.name}};
  const auto uid = options.no_local ? std::nullopt : local_uid(options.name);
  if (uid) user["uid"] = *uid;
  BERTH_TRY(const Json added, api.create("/berth/v1/users", user));

  const std::string file = options.output.empty() ? options.name + ".kubeconfig" : options.output;
  BERTH_CHECK(write_private(
      file, objects::to_yaml(kubeconfig_of(options, cluster,
                                           std::string(objects::find_string(added, {"token"}))))));
  fmt::print("{}\n", file);
  fmt::print(stderr, "{} may now use the namespace {} and the queue {}: give them {}\n",
             options.name, options.name, queue, file);
  if (uid) {
    fmt::print(stderr,
               "On this machine the user {} (uid {}) needs no file: `berth run` knows them.\n",
               options.name, *uid);
  }
  return {};
}

}  // namespace

void add_user(CLI::App& root, const Globals& globals, int& exit_code) {
  auto options = std::make_shared<UserOptions>();
  auto* command = root.add_subcommand("user", "People who use this machine");
  command->require_subcommand(1);
  auto* add_command = command->add_subcommand(
      "add", "Give somebody a token, a namespace, a queue and a kubeconfig");
  add_command->add_option("NAME", options->name, "Of the user, the namespace and the queue")
      ->type_name("")
      ->required();
  add_command->add_option("--queue", options->queue, "Another queue, also one that is there")
      ->type_name("QUEUE");
  add_command
      ->add_option("--guarantee", options->guarantee,
                   "What the queue gets when it asks, such as nvidia.com/gpu=2,cpu=8")
      ->type_name("RESOURCES");
  add_command->add_option("--limit", options->limit, "What the queue never exceeds")
      ->type_name("RESOURCES");
  add_command->add_option("--weight", options->weight, "Its part of what nobody is guaranteed")
      ->type_name("WEIGHT");
  add_command
      ->add_option("-o,--output", options->output,
                   "The kubeconfig (default: NAME.kubeconfig), readable by you alone")
      ->type_name("FORMAT");
  add_command->add_flag("--no-local", options->no_local,
                        "Do not know the user of this machine of that name at the local socket");
  add_command->footer("Example:\n  berth user add alice --guarantee nvidia.com/gpu=2");
  add_command->callback(
      [&globals, &exit_code, options] { exit_code = exit_code_of(add(globals, *options)); });
  command->footer(
      "Adding a user again makes a new token and ends the old one.\n\n"
      "Examples:\n"
      "  berth user add alice --guarantee nvidia.com/gpu=2\n"
      "  berth user add bob --queue research");
}

}  // namespace berth::cli
