#include "app/gateway.h"

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/asio/ip/address.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "app/build.h"
#include "app/logs.h"
#include "app/signals.h"
#include "base/text.h"
#include "cli/server/endpoint.h"
#include "client/https_client.h"
#include "documents/demand_report.h"
#include "gateway/gateway.h"
#include "platform/http/listener.h"

namespace berth::app {
namespace {

struct CommandOptions {
  gateway::GatewayOptions gateway;
  std::vector<std::string> upstreams;
  std::string queue_limit, start_limit, drain_limit = "10m", first_byte_timeout, stream_timeout;
  std::string log_level = "info", log_format = "text";
  size_t max_waiting = 4096;
  size_t max_body_mib = 8;
  int max_in_flight = 64;
  bool discover = false;
};

/// `model=url,url`.
Result<> read_upstreams(CommandOptions& options) {
  for (const std::string& text : options.upstreams) {
    const size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos)
      return fail(ErrorCode::kInvalid, "no model before the address", "--upstream " + text,
                  "write MODEL=http://HOST:PORT[,http://HOST:PORT...]");
    for (const std::string_view url : split(std::string_view(text).substr(equals + 1), ',')) {
      BERTH_TRY(gateway::Upstream upstream, gateway::parse_upstream(url));
      upstream.max_in_flight = options.max_in_flight;
      options.gateway.upstreams.emplace_back(text.substr(0, equals), std::move(upstream));
    }
  }
  return {};
}

Result<> read_duration(const char* option, const std::string& text, Duration& duration) {
  if (text.empty()) return {};
  const auto parsed = parse_duration(text);
  if (!parsed || parsed->ns < 0)
    return fail(ErrorCode::kInvalid, fmt::format("`{}` is not a duration", text), option,
                "write one such as 30s, 2m or 0s");
  duration = *parsed;
  return {};
}

Result<> check(CommandOptions& options, const cli::Globals& globals) {
  gateway::GatewayOptions& gateway = options.gateway;
  BERTH_CHECK(read_upstreams(options));
  BERTH_CHECK(read_duration("--queue-limit", options.queue_limit, gateway.dispatch.queue_limit));
  BERTH_CHECK(read_duration("--start-limit", options.start_limit, gateway.dispatch.start_limit));
  BERTH_CHECK(read_duration("--first-byte-timeout", options.first_byte_timeout,
                            gateway.proxy.first_byte_timeout));
  BERTH_CHECK(
      read_duration("--stream-timeout", options.stream_timeout, gateway.proxy.stream_timeout));
  gateway.dispatch.max_waiting = options.max_waiting;
  gateway.proxy.limits.max_body_bytes = options.max_body_mib << 20;
  options.discover = options.discover || !globals.kubeconfig.empty();
  if (gateway.upstreams.empty() && !options.discover)
    return fail(ErrorCode::kInvalid, "it knows of no model", "berth gateway",
                "give --upstream MODEL=URL, or --discover to ask the API server");
  if (gateway.certificate.empty() != gateway.key.empty())
    return fail(ErrorCode::kInvalid, "one of the two is missing", "--tls-cert, --tls-key",
                "give both, or none");
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(gateway.address, error);
  if (error)
    return fail(ErrorCode::kInvalid, fmt::format("`{}` is no IP address", gateway.address),
                "--address");
  const bool keys = options.discover || !gateway.key_file.empty();
  if (!keys && gateway.anonymous_tenant.empty()) {
    if (!address.is_loopback())
      return fail(ErrorCode::kInvalid, "it would be open to everybody who can reach it",
                  "--address " + gateway.address,
                  "give --keys FILE, or --anonymous TENANT if that is what you want");
    gateway.anonymous_tenant = "default";
  }
  return {};
}

gateway::DemandReporter::Send report_to(client::HttpsClient& api) {
  return [&api](std::string body, const std::function<void(Result<>)>& done) {
    platform::HttpRequest request;
    request.method = "POST";
    request.target = documents::kDemandPath;
    request.headers.add("Content-Type", "application/json");
    request.body = std::move(body);
    api.raw(std::move(request), [done](const Result<platform::HttpResponse>& answer) {
      if (!answer) return done(std::unexpected(answer.error()));
      if (answer->status >= 300)
        return done(fail(answer->status == 400 || answer->status == 413 ? ErrorCode::kInvalid
                                                                        : ErrorCode::kUnavailable,
                         fmt::format("demand is not taken, HTTP {}", answer->status),
                         std::string(documents::kDemandPath),
                         "give this gateway's user the ClusterRole `gateway`"));
      done({});
    });
  };
}

int report(const Error& error) {
  fmt::print(stderr, "berth gateway: {}\n", error.to_string());
  return error.code == ErrorCode::kInvalid ? 2 : 1;
}

int run(CommandOptions& options, const cli::Globals& globals, const Clock& clock) {
  Duration drain_limit;
  if (const auto read = read_duration("--drain-limit", options.drain_limit, drain_limit); !read)
    return report(read.error());
  if (const auto checked = check(options, globals); !checked) return report(checked.error());
  const Signals signals;
  set_up_logs(options.log_level, options.log_format);

  std::unique_ptr<client::HttpsClient> api;
  if (options.discover) {
    auto endpoint = cli::find_endpoint(globals, cli::SearchPath::of_this_user());
    if (!endpoint) return report(endpoint.error());
    auto client = client::HttpsClient::create(endpoint->connection);
    if (!client) return report(client.error());
    api = std::move(*client);
  }
  gateway::GatewayOptions& wanted = options.gateway;
  wanted.api = api.get();
  if (api) wanted.report = report_to(*api);
  wanted.build = kBuild;
  wanted.remark = [](const std::string& line) { spdlog::warn("{}", line); };
  const bool tls = !wanted.certificate.empty();
  const std::string address = wanted.address;
  auto gateway = gateway::Gateway::start(std::move(wanted), clock);
  if (!gateway) return report(gateway.error());
  fmt::print("Berth's gateway serves {}://{}/v1\n", tls ? "https" : "http",
             platform::TcpListener::authority(address, (*gateway)->port()));
  std::fflush(stdout);

  while (signals.wait({}) == SIGHUP)
    if (const auto reloaded = (*gateway)->reload_keys(); !reloaded)
      spdlog::warn("keys stay as they were: {}", reloaded.error().to_string());
  spdlog::info("draining");
  const int64_t left = (*gateway)->drain(drain_limit);
  if (left > 0) fmt::print(stderr, "{} clients were still there after the drain limit\n", left);
  return left > 0 ? 1 : 0;
}

}  // namespace

void add_gateway(CLI::App& root, const cli::Globals& globals, const Clock& clock, int& exit_code) {
  auto options = std::make_shared<CommandOptions>();
  gateway::GatewayOptions& gateway = options->gateway;
  auto* command = root.add_subcommand(
      "gateway", "Serve models under one OpenAI-compatible address: keys, fair queue, metering");
  command
      ->add_option("--upstream", options->upstreams,
                   "MODEL=URL[,URL...]: servers of a model; may be repeated")
      ->type_name("MODEL=URL");
  command->add_flag("--discover", options->discover,
                    "Take models, servers and keys from the API server (with --kubeconfig always)");
  command->add_option("--keys", gateway.key_file, "Key file that `berth key --file` made")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  command
      ->add_option("--anonymous", gateway.anonymous_tenant,
                   "Serve requests without a key as this tenant (on loopback without --keys: "
                   "`default`)")
      ->type_name("TENANT");
  command->add_option("--address", gateway.address, "Address to listen on")
      ->type_name("ADDRESS")
      ->capture_default_str();
  command->add_option("--port", gateway.port, "TCP port; 0 picks a free one")
      ->type_name("PORT")
      ->capture_default_str();
  command->add_option("--tls-cert", gateway.certificate, "Serve HTTPS with this certificate chain")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  command->add_option("--tls-key", gateway.key, "And this key")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  command->add_option("--upstream-ca", gateway.upstream_ca, "Authorities of https:// upstreams")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  command->add_option("--threads", gateway.threads, "Event loops")
      ->type_name("COUNT")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_option("--max-in-flight", options->max_in_flight, "Requests at a server at once")
      ->type_name("COUNT")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command->add_option("--max-waiting", options->max_waiting, "Requests that wait, a model")
      ->type_name("COUNT")
      ->capture_default_str();
  command
      ->add_option("--queue-limit", options->queue_limit,
                   "Longest wait for a turn, then 429 (default: 1m)")
      ->type_name("DURATION");
  command
      ->add_option("--start-limit", options->start_limit,
                   "Longest wait for a server to start, then 503 (default: 2m)")
      ->type_name("DURATION");
  command
      ->add_option("--first-byte-timeout", options->first_byte_timeout,
                   "Longest silence before an answer (default: 5m)")
      ->type_name("DURATION");
  command
      ->add_option("--stream-timeout", options->stream_timeout,
                   "Longest silence within an answer (default: 1m)")
      ->type_name("DURATION");
  command->add_option("--max-body", options->max_body_mib, "Largest request, in MiB")
      ->type_name("MIB")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_option("--max-connections", gateway.proxy.max_connections, "Clients at once")
      ->type_name("COUNT")
      ->capture_default_str();
  command->add_option("--health-path", gateway.health_path, "Asked of each server")
      ->type_name("PATH")
      ->capture_default_str();
  command
      ->add_option("--access-log", gateway.access_log,
                   "A JSON line a request to this file; - is stdout")
      ->type_name("FILE");
  command
      ->add_option("--drain-limit", options->drain_limit,
                   "Longest wait for answers under way when stopped")
      ->type_name("DURATION")
      ->capture_default_str();
  add_log_options(*command, options->log_level, options->log_format);
  command->footer(
      "Examples:\n"
      "  berth gateway --upstream harbour=http://127.0.0.1:8080\n"
      "  berth gateway --upstream m=http://10.0.0.1:8000,http://10.0.0.2:8000 --keys keys.json \\\n"
      "      --address 0.0.0.0 --tls-cert cert.pem --tls-key key.pem --access-log -\n"
      "  berth gateway --discover");
  command->callback(
      [options, &globals, &clock, &exit_code] { exit_code = run(*options, globals, clock); });
}

}  // namespace berth::app
