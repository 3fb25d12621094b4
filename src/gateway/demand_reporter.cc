#include "gateway/demand_reporter.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "gateway/proxy/worker.h"
#include "objects/json_text.h"
#include "platform/loop_thread.h"
#include "platform/tls/crypto.h"

namespace berth::gateway {
namespace {

constexpr size_t kMostPending = 120;
constexpr size_t kAtOnce = 10;  ///< so that no body is too large
constexpr int64_t kSecond_ns = 1'000'000'000;

std::string random_name() {
  std::string name = "gateway-";
  for (const char byte : platform::random_bytes(8))
    name += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return name;
}

}  // namespace

class DemandReporter::Reports : public std::enable_shared_from_this<Reports> {
 public:
  Reports(Traffic& traffic, const Clock& clock, Send send,
          std::function<void(const std::string&)> remark)
      : traffic_(traffic),
        clock_(clock),
        send_(std::move(send)),
        remark_(std::move(remark)),
        second_(now_second()) {}

  void start() {
    thread_.start([this] { schedule(); });
  }

  void stop() { thread_.stop(); }

  void urge() {
    if (urged_.exchange(true)) return;
    thread_.post([this] {
      urged_ = false;
      take();
      send();
    });
  }

 private:
  int64_t now_second() const { return clock_.now().ns / kSecond_ns; }

  void schedule() {
    const int64_t rest_ns = kSecond_ns - clock_.now().ns % kSecond_ns;
    thread_.loop().after(Duration{rest_ns}, [this] {
      take();
      second_ = now_second();
      send();
      schedule();
    });
  }

  void take() {
    pending_.push_back({.gateway = name_,
                        .sequence = ++sequence_,
                        .second = second_,
                        .models = traffic_.take_demand(Worker::now())});
    if (pending_.size() > kMostPending) pending_.pop_front();
  }

  void send() {
    if (sending_ > 0 || pending_.empty()) return;
    const auto end = pending_.begin() + static_cast<long>(std::min(kAtOnce, pending_.size()));
    sending_ = std::prev(end)->sequence;
    const Json body = documents::reports_to_document({pending_.begin(), end});
    send_(objects::canonical_json(body), [weak = weak_from_this()](const Result<>& how) {
      const auto self = weak.lock();
      if (self) self->thread_.post([raw = self.get(), how] { raw->on_sent(how); });
    });
  }

  void on_sent(const Result<>& how) {
    const int64_t sent = std::exchange(sending_, 0);
    if (!how && how.error().code != ErrorCode::kInvalid) {
      // Again with the next window.
      if (!std::exchange(failing_, true))
        remark_("scaling does not hear of demand: " + how.error().to_string());
      return;
    }
    if (!how) {
      remark_("what was told of demand is lost: " + how.error().to_string());
    } else if (std::exchange(failing_, false)) {
      remark_("scaling hears of demand again");
    }
    while (!pending_.empty() && pending_.front().sequence <= sent) pending_.pop_front();
    // Whoever was urged meanwhile does not wait for the window's end.
    send();
  }

  Traffic& traffic_;
  const Clock& clock_;
  const Send send_;
  const std::function<void(const std::string&)> remark_;
  const std::string name_ = random_name();
  std::atomic<bool> urged_ = false;
  // On the thread.
  int64_t second_;
  int64_t sequence_ = 0;
  std::deque<documents::DemandReport> pending_;
  int64_t sending_ = 0;  ///< up to this one is under way; 0: nothing is
  bool failing_ = false;
  platform::LoopThread thread_;
};

DemandReporter::DemandReporter(Traffic& traffic, const Clock& clock, Send send,
                               std::function<void(const std::string&)> remark)
    : reports_(std::make_shared<Reports>(traffic, clock, std::move(send), std::move(remark))) {
  reports_->start();
}

DemandReporter::~DemandReporter() {
  reports_->stop();
}

void DemandReporter::urge() {
  reports_->urge();
}

}  // namespace berth::gateway
