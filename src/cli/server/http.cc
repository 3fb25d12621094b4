#include "cli/server/http.h"

#include <future>
#include <optional>
#include <utility>

#include "base/text.h"
#include "platform/storage/files.h"

namespace berth::cli {
namespace {

constexpr Duration kPatience = Duration::seconds(60);
/// An answer that is an error is small.
constexpr size_t kLargestRefusal = size_t{1} << 20;

std::vector<std::string> warnings_of(const platform::HttpHeaders& headers) {
  std::vector<std::string> warnings;
  for (const auto& [name, value] : headers.entries()) {
    if (name.size() == 7 && (name[0] == 'W' || name[0] == 'w') && name.substr(1) == "arning") {
      warnings.push_back(value);
    }
  }
  return warnings;
}

}  // namespace

HttpRound::HttpRound(const Endpoint& endpoint) : endpoint_(endpoint) {}

Result<platform::HttpRequest> HttpRound::prepare(const HttpCall& call) {
  const client::Connection& connection = endpoint_.connection;
  const std::lock_guard lock(mutex_);
  if (!client_) {
    BERTH_TRY(client_, platform::HttpClient::create(connection.http_options()));
  }
  platform::HttpRequest request;
  request.method = call.method;
  request.target = call.target;
  request.body = call.body;
  request.headers.add("Accept", call.accept);
  request.headers.add("User-Agent", "berth");
  if (!call.content_type.empty()) request.headers.add("Content-Type", call.content_type);
  std::string token = connection.token;
  if (token.empty() && !connection.token_file.empty()) {
    BERTH_TRY(const std::string text, platform::read_file(connection.token_file));
    token = trim(text);
  }
  if (!token.empty()) request.headers.add("Authorization", "Bearer " + token);
  return request;
}

Error HttpRound::explain(Error error) const {
  if (error.code != ErrorCode::kUnavailable) return error;
  return {error.code, "the server at " + endpoint_.place() + " cannot be reached: " + error.what,
          endpoint_.source, "is `berth serve` running?"};
}

Result<HttpAnswer> HttpRound::send(const HttpCall& call) {
  BERTH_TRY(platform::HttpRequest request, prepare(call));
  // Shared: the client's thread may still be inside `set_value` when the answer is taken.
  const auto promise = std::make_shared<std::promise<Result<platform::HttpResponse>>>();
  auto answered = promise->get_future();
  client_->request(endpoint_.connection.endpoint, std::move(request), kPatience,
                   [promise](Result<platform::HttpResponse> response) {
                     promise->set_value(std::move(response));
                   });
  Result<platform::HttpResponse> response = answered.get();
  if (!response) return std::unexpected(explain(std::move(response).error()));
  return HttpAnswer{response->status, std::move(response->body), warnings_of(response->headers)};
}

Result<HttpAnswer> HttpRound::stream(const HttpCall& call,
                                     std::function<bool(std::string_view)> on_chunk) {
  BERTH_TRY(platform::HttpRequest request, prepare(call));
  HttpAnswer answer;
  bool enough = false;
  std::optional<Result<>> ended;
  platform::HttpClient::StreamCallbacks callbacks;
  callbacks.on_head = [&](const platform::HttpResponse& head) {
    const std::lock_guard lock(mutex_);
    answer.status = head.status;
    answer.warnings = warnings_of(head.headers);
  };
  callbacks.on_bytes = [&](std::string_view bytes) {
    {
      const std::lock_guard lock(mutex_);
      if (enough || interrupted_) return;
      if (answer.status / 100 != 2) {
        if (answer.body.size() < kLargestRefusal) answer.body += bytes;
        return;
      }
    }
    if (on_chunk(bytes)) return;
    const std::lock_guard lock(mutex_);
    enough = true;
    changed_.notify_all();
  };
  callbacks.on_end = [&](Result<> how) {
    const std::lock_guard lock(mutex_);
    ended = std::move(how);
    changed_.notify_all();
  };
  {
    const std::lock_guard lock(mutex_);
    if (interrupted_) return answer;
  }
  std::unique_ptr<platform::HttpClient::Stream> stream = client_->stream(
      endpoint_.connection.endpoint, std::move(request), kPatience, std::move(callbacks));
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return enough || interrupted_ || ended; });
  }
  stream.reset();  // after this nothing calls back
  if (ended && !*ended && !enough && !interrupted_) {
    return std::unexpected(explain(std::move(*ended).error()));
  }
  return answer;
}

void HttpRound::interrupt() {
  const std::lock_guard lock(mutex_);
  interrupted_ = true;
  changed_.notify_all();
}

}  // namespace berth::cli
