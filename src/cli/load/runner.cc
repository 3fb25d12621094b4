#include "cli/load/runner.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "objects/json_text.h"
#include "platform/deadline.h"
#include "platform/event_loop.h"
#include "platform/http/client.h"

namespace berth::cli {
namespace {

/// About this many tokens of text, different each time, so that no cache knows it.
std::string prompt(int tokens, Rng& rng) {
  static constexpr std::string_view kWords[] = {"ship", "berth", "tide", "quay", "mole",
                                                "rope", "crane", "fog",  "buoy", "sail"};
  std::string text;
  while (text.size() < static_cast<size_t>(tokens) * 4)
    text.append(kWords[rng.below(std::size(kWords))]).append(" ");
  text.resize(static_cast<size_t>(tokens) * 4);
  return text;
}

class Runner {
 public:
  Runner(const LoadTarget& target, LoadPlan plan, size_t closed, double duration_s, uint64_t seed,
         const std::function<void(const LoadProgress&)>& progress)
      : target_(target),
        plan_(std::move(plan)),
        closed_(closed),
        duration_s_(duration_s),
        rng_(seed),
        progress_(progress) {}

  Result<std::vector<RequestOutcome>> run() {
    BERTH_TRY(client_,
              platform::HttpClient::create(
                  {.ca_pem = {}, .certificate_pem = {}, .key_pem = {}, .verify = target_.verify}));
    loop_.post([this] {
      report();
      if (closed_ == 0) {
        schedule();
      } else {
        for (size_t i = 0; i < closed_; ++i) send_next();
      }
      end_if_done();
    });
    loop_.run();
    client_.reset();
    return std::move(outcomes_);
  }

 private:
  struct Open {
    AnswerWatch watch;
    double sent_s = 0;
    int status = 0;
    std::unique_ptr<platform::HttpClient::Stream> stream;
  };

  double now_s() const { return since_.elapsed().to_seconds(); }

  void schedule() {
    PlannedRequest request;
    if (!plan_.next(request)) {
      planned_all_ = true;
      return;
    }
    loop_.after(Duration::from_seconds(std::max(0.0, request.at_s - now_s())), [this, request] {
      if (open_.size() >= target_.max_in_flight) {
        outcomes_.push_back({.sent_s = now_s(), .error = "not sent: too many in flight"});
      } else {
        send(request);
      }
      schedule();
      end_if_done();
    });
  }

  void send_next() {
    PlannedRequest request;
    if ((duration_s_ > 0 && now_s() >= duration_s_) || !plan_.next(request)) {
      planned_all_ = true;
      return;
    }
    send(request);
  }

  platform::HttpRequest make(const PlannedRequest& request) {
    JsonObject body = target_.extra;
    body["model"] = target_.model;
    body["max_tokens"] = request.output_tokens;
    std::string text = prompt(request.input_tokens, rng_);
    if (target_.chat) {
      body["messages"] = JsonArray{{{"role", "user"}, {"content", std::move(text)}}};
    } else {
      body["prompt"] = std::move(text);
    }
    if (target_.stream) {
      body["stream"] = true;
      body["stream_options"] = {{"include_usage", true}};
    }
    std::string base = target_.url.path;
    if (!base.ends_with("/v1")) base += "/v1";
    platform::HttpRequest http{
        .method = "POST",
        .target = base + (target_.chat ? "/chat/completions" : "/completions"),
        .headers = {},
        .body = objects::canonical_json(body),
        .peer = {}};
    http.headers.add("Content-Type", "application/json");
    if (!target_.key.empty()) http.headers.add("Authorization", "Bearer " + target_.key);
    return http;
  }

  void send(const PlannedRequest& request) {
    const uint64_t id = ++last_id_;
    auto open = std::make_shared<Open>();
    open->sent_s = now_s();
    open_[id] = open;
    // The callbacks run on the client's thread, one after the other; only the last comes to ours.
    open->stream = client_->stream(
        target_.url.endpoint, make(request), target_.timeout,
        {.on_head = [open](const platform::HttpResponse& head) { open->status = head.status; },
         .on_bytes =
             [this, open](std::string_view bytes) {
               open->watch.on_bytes(bytes, now_s(), target_.stream && open->status == 200);
             },
         .on_end =
             [this, id](Result<> how) {
               const double at_s = now_s();
               loop_.post([this, id, at_s, problem = how ? "" : how.error().what] {
                 ended(id, at_s, problem);
               });
             }});
  }

  void ended(uint64_t id, double at_s, const std::string& problem) {
    const auto found = open_.find(id);
    const std::shared_ptr<Open> open = found->second;
    open_.erase(found);
    open->stream.reset();
    RequestOutcome outcome =
        open->watch.finish(open->sent_s, at_s, open->status, problem, target_.stream);
    ++(outcome.error.empty() ? seen_.ok : seen_.failed);
    seen_.output_tokens += outcome.output_tokens;
    outcomes_.push_back(std::move(outcome));
    if (closed_ > 0) send_next();
    end_if_done();
  }

  void report() {
    loop_.after(Duration::seconds(1), [this] {
      seen_.elapsed_s = now_s();
      seen_.in_flight = open_.size();
      progress_(seen_);
      report();
    });
  }

  void end_if_done() {
    if (planned_all_ && open_.empty()) loop_.stop();
  }

  const LoadTarget& target_;
  LoadPlan plan_;
  const size_t closed_;
  const double duration_s_;
  Rng rng_;
  const std::function<void(const LoadProgress&)>& progress_;
  platform::Stopwatch since_;
  platform::EventLoop loop_;
  std::unique_ptr<platform::HttpClient> client_;
  std::unordered_map<uint64_t, std::shared_ptr<Open>> open_;
  std::vector<RequestOutcome> outcomes_;
  LoadProgress seen_;
  uint64_t last_id_ = 0;
  bool planned_all_ = false;
};

}  // namespace

Result<LoadTarget> load_target(const TargetOptions& options) {
  LoadTarget target{.url = {}, .model = options.model, .key = options.key, .extra = {}};
  BERTH_TRY(target.url, platform::parse_http_url(options.url));
  if (const char* key = std::getenv("OPENAI_API_KEY"); key != nullptr && target.key.empty())
    target.key = key;
  if (!options.extra.empty()) {
    BERTH_TRY(objects::ParsedJson extra, objects::parse_json(options.extra));
    if (!extra.value.is_object())
      return fail(ErrorCode::kInvalid, "not a JSON object", "--extra",
                  R"(write --extra '{"ignore_eos":true}')");
    target.extra = extra.value.get_object();
  }
  return target;
}

Result<std::vector<RequestOutcome>> run_load(
    const LoadTarget& target, LoadPlan plan, size_t closed, double duration_s, uint64_t seed,
    const std::function<void(const LoadProgress&)>& progress) {
  return Runner(target, std::move(plan), closed, duration_s, seed, progress).run();
}

}  // namespace berth::cli
