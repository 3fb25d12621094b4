#include <filesystem>
#include <memory>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/output/print.h"
#include "cli/server/api.h"
#include "client/keys/gateway_key.h"
#include "client/keys/key_file.h"
#include "objects/json_text.h"
#include "objects/names.h"

namespace berth::cli {
namespace {

using client::GatewayKey;

struct KeyOptions {
  std::string tenant, id, name, file, expires, output = "table";
  double weight = 1;
  int priority = 0;
};

/// Where keys are kept: a file, or the Secrets of an API server.
class KeyStore {
 public:
  static Result<KeyStore> open(const Globals& globals, const std::string& file) {
    KeyStore store;
    store.file_ = file;
    if (file.empty()) {
      BERTH_TRY(Api api, Api::open(globals));
      store.api_ = std::move(api);
    }
    return store;
  }

  Result<std::vector<GatewayKey>> list() const {
    if (!api_) return client::read_key_file(file_);
    BERTH_TRY(const std::vector<Json> secrets,
              api_->list(kind(), {}, "labelSelector=berth.dev%2Fgateway-key"));
    std::vector<GatewayKey> keys;
    for (const Json& secret : secrets) {
      BERTH_TRY(GatewayKey key, client::key_from_secret(secret));
      keys.push_back(std::move(key));
    }
    return keys;
  }

  Result<> add(const GatewayKey& key) const {
    if (api_) {
      BERTH_TRY(const Json made,
                api_->create(Api::path(kind(), key.tenant), client::key_to_secret(key)));
      return {};
    }
    std::vector<GatewayKey> keys;
    if (std::filesystem::exists(file_)) {
      BERTH_TRY(keys, client::read_key_file(file_));
    }
    keys.push_back(key);
    return client::write_key_file(file_, keys);
  }

  Result<> remove(const std::string& id) const {
    BERTH_TRY(std::vector<GatewayKey> keys, list());
    for (const GatewayKey& key : keys) {
      if (key.id != id) continue;
      if (api_) {
        BERTH_TRY(const Json gone,
                  api_->remove(Api::path(kind(), key.tenant, "gateway-key-" + id), JsonObject{}));
        return {};
      }
      std::erase_if(keys, [&id](const GatewayKey& other) { return other.id == id; });
      return client::write_key_file(file_, keys);
    }
    return fail(ErrorCode::kNotFound, fmt::format("no key {}", id), file_,
                "`berth key ls` lists the ids");
  }

 private:
  const objects::Kind& kind() const { return api_->kind("", "secrets"); }

  std::string file_;
  std::optional<Api> api_;
};

Result<> create(const Globals& globals, const KeyOptions& options) {
  if (const auto wrong = objects::check_dns_label(options.tenant))
    return fail(ErrorCode::kInvalid,
                fmt::format("`{}` is no namespace: {}", options.tenant, *wrong), "TENANT");
  if (!(options.weight >= 0.001 && options.weight <= 1000))
    return fail(ErrorCode::kInvalid, "a weight is from 0.001 to 1000", "--weight");
  const Time now = globals.clock->now();
  client::MintedKey minted = client::mint_key(options.tenant, options.name, now);
  minted.key.weight_milli = static_cast<int64_t>(options.weight * 1000 + 0.5);
  minted.key.priority = options.priority;
  if (!options.expires.empty()) {
    BERTH_TRY(const Duration within, parse_duration(options.expires));
    if (within.ns <= 0) return fail(ErrorCode::kInvalid, "it has expired already", "--expires");
    minted.key.expires = now + within;
  }
  BERTH_TRY(const KeyStore store, KeyStore::open(globals, options.file));
  BERTH_CHECK(store.add(minted.key));
  fmt::print(stderr, "key {} of {} created; this is the only time that it is shown:\n",
             minted.key.id, minted.key.tenant);
  fmt::print("{}\n", minted.token);
  return {};
}

Result<> list(const Globals& globals, const KeyOptions& options) {
  BERTH_TRY(const KeyStore store, KeyStore::open(globals, options.file));
  BERTH_TRY(const std::vector<GatewayKey> keys, store.list());
  if (options.output == "json") {
    JsonArray entries;
    for (const GatewayKey& key : keys) {
      Json entry = client::key_to_json(key);
      entry.get_object().erase("secretHash");
      entries.push_back(std::move(entry));
    }
    fmt::print("{}\n", objects::pretty_json(JsonObject{{"keys", std::move(entries)}}));
    return {};
  }
  const Time now = globals.clock->now();
  TextTable table({"ID", "TENANT", "NAME", "WEIGHT", "PRIORITY", "AGE", "EXPIRES"});
  for (const GatewayKey& key : keys) {
    const std::string expires = !key.expires          ? "never"
                                : *key.expires <= now ? "expired"
                                                      : "in " + format_age(*key.expires - now);
    table.add({key.id, key.tenant, key.name.empty() ? "-" : key.name,
               fmt::format("{:g}", static_cast<double>(key.weight_milli) / 1000),
               std::to_string(key.priority), format_age(now - key.created), expires});
  }
  if (table.empty()) {
    fmt::print(stderr, "No keys. `berth key create TENANT` makes one.\n");
  } else {
    fmt::print("{}", table.to_string());
  }
  return {};
}

Result<> revoke(const Globals& globals, const KeyOptions& options) {
  BERTH_TRY(const KeyStore store, KeyStore::open(globals, options.file));
  BERTH_CHECK(store.remove(options.id));
  fmt::print(stderr, "key {} revoked; a running gateway knows within a second\n", options.id);
  return {};
}

}  // namespace

void add_key(CLI::App& root, const Globals& globals, int& exit_code) {
  auto options = std::make_shared<KeyOptions>();
  auto* command = root.add_subcommand("key", "Keys that open the gateway: one or more a tenant");
  command->require_subcommand(1);
  const auto finish = [&exit_code](const Result<>& done) {
    exit_code = done ? 0 : print_error(done.error());
  };
  const auto file_option = [options](CLI::App* sub) {
    sub->add_option("--file", options->file,
                    "Key file of a gateway without an API server (default: Secrets of the server)")
        ->type_name("FILE");
  };

  auto* create_command = command->add_subcommand("create", "Make a key; prints it, this once");
  create_command->add_option("TENANT", options->tenant, "Namespace that pays for what it opens")
      ->type_name("")
      ->required();
  create_command->add_option("--name", options->name, "What it is for, for people")
      ->type_name("NAME");
  create_command
      ->add_option("--weight", options->weight,
                   "Share of a busy model's tokens against other tenants")
      ->type_name("WEIGHT");
  create_command
      ->add_option("--priority", options->priority,
                   "Order among the tenant's own requests, higher first")
      ->type_name("PRIORITY")
      ->check(CLI::Range(-100, 100));
  create_command->add_option("--expires", options->expires, "Good for this long, such as 720h")
      ->type_name("DURATION");
  file_option(create_command);
  create_command->footer("Example:\n  berth key create research --name notebooks --expires 720h");
  create_command->callback([=, &globals] { finish(create(globals, *options)); });

  auto* list_command = command->add_subcommand("ls", "List the keys, without their secrets");
  list_command->add_option("-o,--output", options->output, "table or json")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json"}));
  file_option(list_command);
  list_command->footer("Example:\n  berth key ls");
  list_command->callback([=, &globals] { finish(list(globals, *options)); });

  auto* revoke_command = command->add_subcommand("revoke", "End a key");
  revoke_command->add_option("ID", options->id, "As `berth key ls` shows it")
      ->type_name("")
      ->required();
  file_option(revoke_command);
  revoke_command->footer("Example:\n  berth key revoke 0123456789ab");
  revoke_command->callback([=, &globals] { finish(revoke(globals, *options)); });

  command->footer(
      "Examples:\n"
      "  berth key create research --name notebooks\n"
      "  berth key create batch --weight 0.5 --file keys.json\n"
      "  berth key revoke 0123456789ab");
}

}  // namespace berth::cli
