#include "gateway/gateway.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/ssl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client/keys/key_file.h"
#include "gateway/demand_reporter.h"
#include "gateway/discovery.h"
#include "gateway/metering/token_book.h"
#include "gateway/metrics.h"
#include "gateway/proxy/prober.h"
#include "gateway/proxy/worker.h"
#include "platform/deadline.h"
#include "platform/http/server.h"

namespace berth::gateway {

void FreeTlsContext::operator()(SSL_CTX* context) const {
  SSL_CTX_free(context);
}

namespace {

namespace asio = boost::asio;
using ErrorCodeB = boost::system::error_code;

/// Each stream needs two descriptors: as many as this process may have.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void set_modes(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
}

class RunningGateway final : public Gateway {
 public:
  RunningGateway(GatewayOptions options, const Clock& clock)
      : options_(std::move(options)),
        traffic_(
            options_.dispatch,
            [this](Traffic::Wake wake) {
              workers_[Worker::worker_of(wake.id)]->wake(std::move(wake));
            },
            [this] {
              if (reporter_) reporter_->urge();
            }),
        keys_(traffic_) {
    shared_.settings = options_.proxy;
    shared_.traffic = &traffic_;
    shared_.keys = &keys_;
    shared_.clock = &clock;
    if (!options_.anonymous_tenant.empty())
      shared_.anonymous = traffic_.tenant(options_.anonymous_tenant, 1000);
    shared_.metrics = [this] { return metrics_text(shared_, options_.build); };
    shared_.ready = [this] {
      const auto models = traffic_.models();
      return std::ranges::any_of(models, [](const auto& model) { return model.ready > 0; });
    };
    shared_.suspect = [this](const std::string& model, core::ReplicaId replica) {
      prober_->suspect(model, replica);
    };
  }

  ~RunningGateway() override {
    discovery_.reset();
    stop_accepting();
    prober_.reset();
    // All before the first goes: they wake each other.
    for (const auto& worker : workers_) worker->stop();
    tokens_.reset();  // tells what those counted
    workers_.clear();
    reporter_.reset();
    if (shared_.access_log > STDERR_FILENO) ::close(shared_.access_log);
  }

  Result<> open() {
    raise_descriptor_limit();
    BERTH_CHECK(open_tls());
    BERTH_CHECK(open_access_log());
    if (!options_.key_file.empty()) BERTH_CHECK(reload_keys());
    BERTH_CHECK(listen());
    for (int i = 0; i < std::max(1, options_.threads); ++i)
      workers_.push_back(std::make_unique<Worker>(static_cast<uint16_t>(i), shared_));
    prober_ = std::make_unique<Prober>(
        *workers_[0], traffic_, options_.health_path,
        [this](const std::string& model, core::ReplicaId replica) {
          options_.remark(fmt::format("a server of {} is not well", model));
          for (const auto& worker : workers_) worker->on_replica_down(model, replica);
        });
    for (const auto& [model, upstream] : options_.upstreams) add(model, upstream);
    if (options_.api != nullptr)
      discovery_ = std::make_unique<Discovery>(
          *options_.api,
          Discovery::Callbacks{
              .models = [this](const Discovery::Models& models) { on_models(models); },
              .keys = [this](const std::vector<client::GatewayKey>& keys) { on_api_keys(keys); },
              .failed = [this](const Error& error) { options_.remark(error.to_string()); }});
    if (options_.report)
      reporter_ = std::make_unique<DemandReporter>(traffic_, *shared_.clock, options_.report,
                                                   options_.remark);
    if (options_.api != nullptr)
      tokens_ = std::make_unique<TokenBook>(
          TokenBook::Options{.client = *options_.api,
                             .clock = *shared_.clock,
                             .name = token_book_name(),
                             .counted = [this] { return token_totals(); },
                             .remark = options_.remark});
    accept();
    watch_key_file();
    accepting_ = std::thread([this] { io_.run(); });
    return {};
  }

  uint16_t port() const override { return port_; }

  Result<> reload_keys() override {
    BERTH_TRY(std::vector<client::GatewayKey> keys, client::read_key_file(options_.key_file));
    const std::lock_guard lock(keys_mutex_);
    file_keys_ = std::move(keys);
    replace_keys();
    return {};
  }

  int64_t drain(Duration limit) override {
    shared_.draining = true;
    stop_accepting();
    for (const auto& worker : workers_) worker->drain();
    const platform::Deadline deadline(limit);
    while (shared_.connections.load() > 0 && !deadline.passed())
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return shared_.connections.load();
  }

 private:
  /// One for each gateway that may run at the same time, and the same after a restart.
  std::string token_book_name() const {
    char host[256] = {};
    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0') host[0] = 'x';
    std::string name = fmt::format("gateway-{}-{}", host, port_);
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      if (c == '_') c = '-';
    }
    return name;
  }

  TokenBook::Totals token_totals() const {
    TokenBook::Totals totals;
    traffic_.inspect([&](const auto&, const core::TokenLedger& ledger) {
      for (const auto& [owner, use] : ledger.rows())
        totals[owner] = {use.input_tokens, use.output_tokens};
    });
    return totals;
  }

  Result<> open_tls() {
    const auto bad = [](const char* what, const std::filesystem::path& file) {
      return fail(ErrorCode::kInvalid, what, file, "give PEM files");
    };
    if (!options_.certificate.empty()) {
      shared_.server_tls.reset(SSL_CTX_new(TLS_server_method()));
      SSL_CTX* context = shared_.server_tls.get();
      set_modes(context);
      if (SSL_CTX_use_certificate_chain_file(context, options_.certificate.c_str()) != 1)
        return bad("the certificate cannot be read", options_.certificate);
      if (SSL_CTX_use_PrivateKey_file(context, options_.key.c_str(), SSL_FILETYPE_PEM) != 1)
        return bad("the key cannot be read, or is not the certificate's", options_.key);
    }
    shared_.client_tls.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX* context = shared_.client_tls.get();
    set_modes(context);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    if (options_.upstream_ca.empty()) {
      SSL_CTX_set_default_verify_paths(context);
    } else if (SSL_CTX_load_verify_locations(context, options_.upstream_ca.c_str(), nullptr) != 1) {
      return bad("the authorities of the upstreams cannot be read", options_.upstream_ca);
    }
    return {};
  }

  Result<> open_access_log() {
    if (options_.access_log.empty()) return {};
    if (options_.access_log == "-") {
      shared_.access_log = STDOUT_FILENO;
      return {};
    }
    shared_.access_log =
        ::open(options_.access_log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (shared_.access_log < 0)
      return fail(ErrorCode::kUnavailable,
                  fmt::format("the access log cannot be written: {}", std::strerror(errno)),
                  options_.access_log);
    return {};
  }

  Result<> listen() {
    BERTH_TRY(platform::TcpListener listener,
              platform::TcpListener::open(options_.address, options_.port));
    port_ = listener.port;
    acceptor_.assign(listener.v6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(),
                     listener.socket.release());
    return {};
  }

  void accept() {
    acceptor_.async_accept([this](const ErrorCodeB& error, asio::ip::tcp::socket socket) {
      if (!acceptor_.is_open()) return;
      if (error) {  // no descriptors left, for one: trying at once would spin
        pause_.expires_after(std::chrono::milliseconds(50));
        pause_.async_wait([this](const ErrorCodeB& stopped) {
          if (!stopped) accept();
        });
        return;
      }
      if (shared_.connections.load() >= static_cast<int64_t>(options_.proxy.max_connections)) {
        ++shared_.rejected[static_cast<size_t>(Rejected::kTooManyConnections)];
      } else {
        ErrorCodeB ignored;
        const auto peer = socket.remote_endpoint(ignored);
        shared_.connections.fetch_add(1, std::memory_order_relaxed);
        workers_[next_worker_++ % workers_.size()]->adopt(socket.release(),
                                                          peer.address().is_loopback());
      }
      accept();
    });
  }

  void stop_accepting() {
    asio::post(io_, [this] {
      ErrorCodeB ignored;
      acceptor_.close(ignored);
      pause_.cancel();
      key_timer_.cancel();
      stopping_ = true;
      work_.reset();
    });
    if (accepting_.joinable()) accepting_.join();
  }

  void watch_key_file() {
    if (options_.key_file.empty() || stopping_) return;
    key_timer_.expires_after(std::chrono::seconds(1));
    key_timer_.async_wait([this](const ErrorCodeB& error) {
      if (error) return;
      std::error_code unreadable;
      const auto changed = std::filesystem::last_write_time(options_.key_file, unreadable);
      if (!unreadable && changed != key_file_time_) {
        key_file_time_ = changed;
        if (const auto reloaded = reload_keys(); !reloaded)
          options_.remark("keys stay as they were: " + reloaded.error().to_string());
      }
      watch_key_file();
    });
  }

  void replace_keys() {  // with the lock held
    std::vector<client::GatewayKey> all = file_keys_;
    all.insert(all.end(), api_keys_.begin(), api_keys_.end());
    keys_.replace(all);
  }

  void on_api_keys(const std::vector<client::GatewayKey>& keys) {
    const std::lock_guard lock(keys_mutex_);
    api_keys_ = keys;
    replace_keys();
  }

  core::ReplicaId add(const std::string& model, const Upstream& upstream) {
    auto shared = std::make_shared<const Upstream>(upstream);
    const core::ReplicaId replica = traffic_.add_replica(model, shared);
    prober_->watch(model, replica, std::move(shared));
    return replica;
  }

  /// On the thread of discovery.
  void on_models(const Discovery::Models& models) {
    for (const auto& [model, discovered] : models) {
      traffic_.add_model(model);
      traffic_.set_objective(model, discovered.objective);
      auto& known = discovered_[model];
      for (const auto& [server, upstream] : discovered.servers)
        if (!known.contains(server)) known[server] = add(model, upstream);
    }
    for (auto& [model, known] : discovered_) {
      const auto found = models.find(model);
      std::erase_if(known, [&](const auto& entry) {
        if (found != models.end() && found->second.servers.contains(entry.first)) return false;
        traffic_.remove_replica(model, entry.second);
        prober_->forget(model, entry.second);
        return true;
      });
    }
  }

  const GatewayOptions options_;
  ProxyShared shared_;
  Traffic traffic_;
  KeyRing keys_;
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(io_);
  asio::ip::tcp::acceptor acceptor_{io_};
  asio::steady_timer pause_{io_};
  asio::steady_timer key_timer_{io_};
  std::filesystem::file_time_type key_file_time_;
  bool stopping_ = false;
  uint16_t port_ = 0;
  size_t next_worker_ = 0;
  std::thread accepting_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Prober> prober_;
  std::mutex keys_mutex_;
  std::vector<client::GatewayKey> file_keys_, api_keys_;
  std::map<std::string, std::map<std::string, core::ReplicaId>> discovered_;
  std::unique_ptr<Discovery> discovery_;
  std::unique_ptr<DemandReporter> reporter_;
  std::unique_ptr<TokenBook> tokens_;
};

}  // namespace

Result<std::unique_ptr<Gateway>> Gateway::start(GatewayOptions options, const Clock& clock) {
  auto gateway = std::make_unique<RunningGateway>(std::move(options), clock);
  BERTH_CHECK(gateway->open());
  return gateway;
}

}  // namespace berth::gateway
