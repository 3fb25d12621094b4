#include "apiserver/server.h"

#include <future>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "apiserver/access/authorizer.h"
#include "apiserver/access/identity.h"
#include "apiserver/api/admission.h"
#include "apiserver/api/upkeep.h"
#include "apiserver/http/handler.h"
#include "apiserver/in_process_client.h"
#include "apiserver/kubeconfig.h"
#include "platform/storage/files.h"
#include "platform/tls/certificates.h"

namespace berth::apiserver {
namespace {

/// Kinds that are only asked about, never stored.
constexpr std::string_view kReviews = R"(
struct authorization.v1.ResourceAttributes
  group string @3
  name string @7
  namespace string @1
  resource string @5
  subresource string @6
  verb string @2
  version string @4
struct authorization.v1.NonResourceAttributes
  path string @1
  verb string @2
struct authorization.v1.SelfSubjectAccessReviewSpec
  nonResourceAttributes authorization.v1.NonResourceAttributes @2
  resourceAttributes authorization.v1.ResourceAttributes @1
struct authorization.v1.SelfSubjectAccessReview
  apiVersion string
  kind string
  metadata meta.v1.ObjectMeta @1
  spec authorization.v1.SelfSubjectAccessReviewSpec @2
kind SelfSubjectAccessReview authorization.k8s.io/v1 - - authorization.v1.SelfSubjectAccessReview
)";

class EmbeddedServer final : public Server {
 public:
  EmbeddedServer(ServerOptions options, platform::FileLock lock, std::unique_ptr<Store> store,
                 std::unique_ptr<objects::Registry> registry)
      : options_(std::move(options)),
        lock_(std::move(lock)),
        registry_(std::move(registry)),
        store_(std::move(store)),
        api_(*store_, *registry_, *options_.clock, options_.services),
        identity_(*store_, ::geteuid()),
        authorizer_(*store_),
        streams_(api_),
        handler_({api_, identity_, authorizer_, streams_}),
        client_(api_),
        upkeep_(api_) {}
  ~EmbeddedServer() override { stop(); }

  Result<> begin(platform::TcpListener listener) {
    BERTH_CHECK(upkeep_.create_initial_objects());
    BERTH_TRY(const platform::CertificateFiles files,
              platform::ensure_certificates(options_.data_dir / "pki",
                                            {options_.address, "127.0.0.1", "localhost"},
                                            options_.clock->now()));
    platform::HttpServerOptions http;
    http.tls = {files.certificate, files.key};
    http.local_socket = socket();
    BERTH_TRY(http_, platform::HttpServer::start(
                         http,
                         [this](std::shared_ptr<platform::HttpExchange> exchange) {
                           ready_.wait();
                           handler_.handle(std::move(exchange));
                         },
                         std::move(listener)));
    handler_.set_address(platform::TcpListener::authority(options_.address, http_->port()));
    ready_promise_.set_value();
    BERTH_TRY(const std::string token, ensure_admin_token(identity_, kubeconfig()));
    BERTH_CHECK(write_kubeconfig(kubeconfig(), address(), files.ca, token));
    upkeep_.start();
    return {};
  }

  void provide(Providers providers) override { handler_.set_providers(providers); }
  client::ApiClient& client() override { return client_; }
  std::string address() const override {
    return "https://" + platform::TcpListener::authority(options_.address, http_->port());
  }
  std::filesystem::path kubeconfig() const override { return options_.data_dir / "kubeconfig"; }
  std::filesystem::path socket() const override { return options_.data_dir / "api.sock"; }

  void stop() override {
    upkeep_.stop();
    client_.stop();
    streams_.stop_all();
    if (http_) http_->stop();
    store_->stop();
    handler_.set_providers({});
  }

 private:
  const ServerOptions options_;
  const platform::FileLock lock_;
  const std::unique_ptr<objects::Registry> registry_;
  const std::unique_ptr<Store> store_;
  ObjectsApi api_;
  Identity identity_;
  Authorizer authorizer_;
  Streams streams_;
  Handler handler_;
  InProcessClient client_;
  Upkeep upkeep_;
  std::promise<void> ready_promise_;
  std::shared_future<void> ready_ = ready_promise_.get_future().share();
  std::unique_ptr<platform::HttpServer> http_;
};

std::filesystem::path lock_file(const std::filesystem::path& folder) {
  return folder / "lock";
}

Result<platform::FileLock> lock(const std::filesystem::path& folder) {
  auto lock = platform::FileLock::acquire(lock_file(folder));
  if (!lock && lock.error().code == ErrorCode::kConflict) {
    lock.error().what = "another Berth uses this data folder: " + lock.error().what;
    lock.error().fix = "stop it, or choose another folder with --data";
  }
  return lock;
}

/// Where no port is asked for, that of the last time: users' kubeconfigs go on being right.
Result<platform::TcpListener> listen(const ServerOptions& options) {
  const uint16_t last = last_port(options.data_dir / "kubeconfig");
  if (options.port == 0 && last != 0)
    if (auto listener = platform::TcpListener::open(options.address, last)) return listener;
  return platform::TcpListener::open(options.address, options.port);
}

}  // namespace

Result<std::unique_ptr<Server>> Server::start(ServerOptions options) {
  const std::filesystem::path& folder = options.data_dir;
  // Nothing is made before the port is held. A lock that is there comes first all the same: a
  // second server is told of the first, not of its port.
  std::optional<platform::FileLock> held;
  if (std::error_code unreadable; std::filesystem::exists(lock_file(folder), unreadable)) {
    BERTH_TRY(held, lock(folder));
  }
  BERTH_TRY(platform::TcpListener listener, listen(options));
  BERTH_CHECK(platform::ensure_folder(folder, 0711));
  if (!held) {
    BERTH_TRY(held, lock(folder));
  }
  BERTH_CHECK(platform::ensure_folder(folder / "store", 0700));
  BERTH_TRY(auto store, Store::open(folder / "store" / "state.db", Store::Limits()));
  auto registry = objects::Registry::built_in();
  BERTH_CHECK(registry->add(kReviews));
  auto server = std::make_unique<EmbeddedServer>(std::move(options), *std::move(held),
                                                 std::move(store), std::move(registry));
  BERTH_CHECK(server->begin(std::move(listener)));
  return server;
}

}  // namespace berth::apiserver
