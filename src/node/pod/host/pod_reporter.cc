#include "node/pod/host/pod_reporter.h"

#include "base/time.h"

namespace berth::node {
namespace {

const client::Resource kPods = {"", "v1", "pods"};
constexpr Duration kRetry = Duration::seconds(1);

}  // namespace

PodReporter::PodReporter(client::ApiClient& api, platform::EventLoop& loop, const PodSpec& pod)
    : api_(api), loop_(loop), ns_(pod.ns), name_(pod.name), uid_(pod.uid) {}

void PodReporter::publish(Json status) {
  newest_ = std::move(status);
  unsent_ = true;
  send();
}

void PodReporter::send() {
  if (sending_ || !unsent_) return;
  sending_ = true;
  unsent_ = false;
  JsonObject patch = {{"metadata", JsonObject{{"uid", uid_}}}, {"status", newest_}};
  api_.patch({kPods, ns_, name_, "status"}, client::PatchType::kStrategicMerge, std::move(patch),
             {}, [weak = weak_from_this(), &loop = loop_](const Result<SharedJson>& answer) {
               // Gone or replaced by another pod of the name: nothing to tell any more.
               const bool settled = answer || answer.error().code == ErrorCode::kNotFound ||
                                    answer.error().code == ErrorCode::kConflict ||
                                    answer.error().code == ErrorCode::kInvalid;
               loop.post([weak, settled] {
                 const auto self = weak.lock();
                 if (!self) return;
                 self->sending_ = false;
                 if (settled) return self->send();
                 self->unsent_ = true;
                 self->loop_.after(kRetry, [weak] {
                   if (const auto again = weak.lock()) again->send();
                 });
               });
             });
}

void PodReporter::delete_object() {
  client::DeleteOptions options;
  options.grace = Duration{};
  options.precondition_uid = uid_;
  api_.remove({kPods, ns_, name_, {}}, options,
              [weak = weak_from_this(), &loop = loop_](const Result<SharedJson>& answer) {
                const bool gone = answer || answer.error().code == ErrorCode::kNotFound ||
                                  answer.error().code == ErrorCode::kConflict;
                if (gone) return;
                loop.post([weak] {
                  const auto self = weak.lock();
                  if (!self) return;
                  self->loop_.after(kRetry, [weak] {
                    if (const auto again = weak.lock()) again->delete_object();
                  });
                });
              });
}

}  // namespace berth::node
