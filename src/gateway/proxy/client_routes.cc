#include <charconv>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "gateway/proxy/client_connection.h"
#include "gateway/proxy/worker.h"

namespace berth::gateway {
namespace {

/// What a request that does not say how long its answer may be is taken to make, until it has.
constexpr int64_t kUsualOutputTokens = 256;

bool is_inference(std::string_view path) {
  return path == "/v1/chat/completions" || path == "/v1/completions" || path == "/v1/embeddings";
}

}  // namespace

void ClientConnection::handle_request() {
  const IncomingRequest& request = reader_.request();
  const std::string_view target = request.target;
  const std::string_view path = target.substr(0, target.find('?'));
  const bool get = request.method == "GET";
  // Its answer must have no body, and ours has: the connection ends, so that nobody takes the body
  // for the next answer.
  if (request.method == "HEAD") keep_alive_ = false;
  if (request.method == "POST" && is_inference(path)) {
    handle_inference();
    return;
  }
  if (get && (path == "/v1/models" || path.starts_with("/v1/models/"))) {
    handle_models();
  } else if (get && path == "/healthz") {
    send_answer(200, "text/plain", "ok\n");
  } else if (get && path == "/readyz") {
    const bool ready = !shared_.draining && shared_.ready();
    send_answer(ready ? 200 : 503, "text/plain", ready ? "ok\n" : "no model is ready\n");
  } else if (get && path == "/metrics" && is_loopback()) {
    send_answer(200, "text/plain; version=0.0.4", shared_.metrics());
  } else {
    reject(Rejected::kNotFound, no_such_route(request.method, target));
    return;
  }
  finish_request();
}

void ClientConnection::reject(Rejected kind, const ApiError& error) {
  shared_.rejected[static_cast<size_t>(kind)].fetch_add(1, std::memory_order_relaxed);
  send_answer(error.status, "application/json", error.body(), error.retry_after_s);
  finish_request();
}

bool ClientConnection::has_key() const {
  return shared_.anonymous != nullptr ||
         shared_.keys->find(reader_.request().authorization, shared_.clock->now()) != nullptr;
}

void ClientConnection::handle_models() {
  const std::string_view target = reader_.request().target;
  constexpr std::string_view kOne = "/v1/models/";
  if (!has_key()) {
    const ApiError error = no_key();
    shared_.rejected[static_cast<size_t>(Rejected::kNoKey)].fetch_add(1);
    send_answer(error.status, "application/json", error.body());
    return;
  }
  boost::json::array list;
  for (const Traffic::ModelView& model : shared_.traffic->models())
    list.push_back({{"id", model.name},
                    {"object", "model"},
                    {"created", 0},
                    {"owned_by", "berth"},
                    {"ready", model.ready > 0}});
  if (!target.starts_with(kOne)) {
    send_answer(200, "application/json",
                boost::json::serialize(boost::json::value{{"object", "list"}, {"data", list}}));
    return;
  }
  const std::string_view name = target.substr(kOne.size());
  for (const boost::json::value& model : list)
    if (model.at("id").as_string() == name) {
      send_answer(200, "application/json", boost::json::serialize(model));
      return;
    }
  const ApiError error = no_such_model(name);
  send_answer(error.status, "application/json", error.body());
}

void ClientConnection::handle_inference() {
  const IncomingRequest& request = reader_.request();
  const Traffic::Tenant* tenant = shared_.anonymous;
  std::string key_id;
  int priority = 0;
  if (const auto key = request.authorization.empty()
                           ? nullptr
                           : shared_.keys->find(request.authorization, shared_.clock->now())) {
    tenant = key->tenant;
    key_id = key->key.id;
    priority = key->key.priority;
  }
  if (tenant == nullptr) return reject(Rejected::kNoKey, no_key());
  auto scan = scan_request(request.body);
  if (!scan) return reject(Rejected::kBadRequest, bad_request(scan.error().what));

  Time deadline{INT64_MAX};
  if (!request.deadline.empty()) {
    const auto within = parse_duration(request.deadline);
    if (!within || within->ns <= 0)
      return reject(Rejected::kBadRequest,
                    bad_request("X-Berth-Deadline is not a duration such as 2s or 800ms"));
    deadline = Worker::now() + *within;
  }
  if (!request.priority.empty()) {
    const std::string& text = request.priority;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), priority);
    if (error != std::errc() || end != text.data() + text.size() || priority < -100 ||
        priority > 100)
      return reject(Rejected::kBadRequest,
                    bad_request("X-Berth-Priority is not a whole number from -100 to 100"));
  }
  accept(*tenant, std::move(key_id), priority, deadline, std::move(*scan));
}

void ClientConnection::accept(const Traffic::Tenant& tenant, std::string key_id, int priority,
                              Time deadline, RequestScan scan) {
  const Time now = Worker::now();
  const bool embeddings = reader_.request().target.starts_with("/v1/embeddings");
  const core::ServingRequest request{.id = worker_.next_id(),
                                     .tenant = tenant.id,
                                     .priority = priority,
                                     .input_tokens = scan.input_tokens,
                                     .expected_output_tokens = embeddings ? 0
                                                               : scan.max_tokens < 0
                                                                   ? kUsualOutputTokens
                                                                   : scan.max_tokens,
                                     .prefix = scan.prefix,
                                     .deadline = deadline};
  Traffic::Accepted accepted = shared_.traffic->accept(scan.model, tenant, request, now);
  if (accepted.model == nullptr) return reject(Rejected::kNoModel, no_such_model(scan.model));

  exchange_ = std::make_unique<Exchange>();
  Exchange& exchange = *exchange_;
  exchange.id = request.id;
  exchange.model = accepted.model;
  exchange.tenant = &tenant;
  exchange.key_id = std::move(key_id);
  exchange.scan = std::move(scan);
  exchange.arrived = now;
  exchange.dispatch = accepted.verdict.dispatch;
  switch (accepted.verdict.kind) {
    case core::ModelDispatcher::Verdict::Kind::kDispatched:
      on_turn(exchange.dispatch, std::move(accepted.upstream));
      break;
    case core::ModelDispatcher::Verdict::Kind::kQueued:
      state_ = State::kWaiting;
      worker_.expect(exchange.id, *this, *exchange.model, tenant);
      break;
    case core::ModelDispatcher::Verdict::Kind::kRefused:
      on_refused(accepted.verdict.refusal);
      break;
  }
}

}  // namespace berth::gateway
