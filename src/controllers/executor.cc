#include "controllers/executor.h"

#include <algorithm>
#include <map>
#include <utility>

namespace berth::controllers {
namespace {

constexpr size_t kFirstBatch = 8;

/// One round in progress. It lives as long as a call of it is under way, and runs on the loop.
class Round : public std::enable_shared_from_this<Round> {
 public:
  Round(client::ApiClient& client, std::shared_ptr<platform::EventLoop> loop,
        std::function<void(RoundResult)> done)
      : client_(client), loop_(std::move(loop)), done_(std::move(done)) {}

  void begin(std::vector<Write> writes) {
    for (Write& write : writes) {
      if (write.verb == Write::Verb::kCreate) {
        creates_.push_back(std::move(write));
      } else {
        chains_[write.key].push_back(std::move(write));
      }
    }
    ++running_;  // held until everything was started
    for (auto& [key, chain] : chains_) run_chain(chain, 0);
    next_batch();
    settle();
  }

 private:
  using Next = std::function<void(bool ok)>;

  void run_chain(const std::vector<Write>& chain, size_t at) {
    if (at == chain.size()) return;
    run(chain[at], [this, &chain, at](bool ok) {
      if (ok) run_chain(chain, at + 1);
    });
  }

  void next_batch() {
    const size_t end = std::min(creates_.size(), created_ + batch_);
    batch_left_ = end - created_;
    batch_ *= 2;
    const size_t begin = std::exchange(created_, end);
    for (size_t i = begin; i < end; ++i) {
      run(creates_[i], [this](bool ok) {
        batch_failed_ = batch_failed_ || !ok;
        if (--batch_left_ == 0 && !batch_failed_) next_batch();
      });
    }
  }

  void run(const Write& write, Next next) {
    ++running_;
    if (write.confirm_gone.empty()) {
      send(write, std::move(next));
    } else {
      confirm(write, 0, std::move(next));
    }
  }

  void confirm(const Write& write, size_t at, Next next) {
    if (at == write.confirm_gone.size()) return send(write, std::move(next));
    const std::string& uid = write.confirm_gone[at].second;
    client_.get(target(write.confirm_gone[at].first),
                on_loop([this, &write, at, &uid, next = std::move(next)](Result<SharedJson> got) {
                  const bool gone =
                      got ? !uid.empty() && objects::find_string(**got, {"metadata", "uid"}) != uid
                          : got.error().code == ErrorCode::kNotFound;
                  if (gone) return confirm(write, at + 1, next);
                  result_.conflicted = true;
                  finish(next, false);
                }));
  }

  void send(const Write& write, Next next) {
    auto done = on_loop([this, &write, next = std::move(next)](Result<SharedJson> got) {
      finish(next, take(write, got));
    });
    switch (write.verb) {
      case Write::Verb::kCreate:
        client_.create(target(write.key), write.body, {}, std::move(done));
        break;
      case Write::Verb::kPatch:
        client_.patch(target(write.key), client::PatchType::kMerge, write.body, {},
                      std::move(done));
        break;
      case Write::Verb::kPatchStatus:
        client_.patch(target(write.key, "status"), client::PatchType::kMerge, write.body, {},
                      std::move(done));
        break;
      case Write::Verb::kPatchScale:
        client_.patch(target(write.key, "scale"), client::PatchType::kMerge, write.body, {},
                      std::move(done));
        break;
      case Write::Verb::kPatchResize:
        client_.patch(target(write.key, "resize"), client::PatchType::kMerge, write.body, {},
                      std::move(done));
        break;
      case Write::Verb::kDelete: {
        client::DeleteOptions options;
        options.grace = write.grace;
        options.propagation = write.propagation;
        options.precondition_uid = write.uid;
        client_.remove(target(write.key), std::move(options), std::move(done));
        break;
      }
    }
  }

  /// Notes the result of a write; true when it leaves nothing to do.
  bool take(const Write& write, const Result<SharedJson>& got) {
    const bool creates = write.verb == Write::Verb::kCreate;
    const bool deletes = write.verb == Write::Verb::kDelete;
    if (got) {
      const std::string uid(deletes ? std::string_view(write.uid)
                                    : objects::find_string(**got, {"metadata", "uid"}));
      result_.expected.push_back(
          {uid, std::string(objects::find_string(**got, {"metadata", "resourceVersion"})),
           deletes});
      result_.created_any = result_.created_any || creates;
      if (write.on_behalf_of) note(write, **got);
      return true;
    }
    const Error& error = got.error();
    if (error.code == ErrorCode::kNotFound && !creates) {
      // It is gone: what the view will show soon.
      if (deletes) result_.expected.push_back({write.uid, "", true});
      return deletes;
    }
    if (error.code == ErrorCode::kConflict || error.code == ErrorCode::kAlreadyExists) {
      result_.conflicted = true;
      return false;
    }
    if (result_.failure.empty()) result_.failure = error.to_string();
    if (write.on_behalf_of && creates) {
      result_.notes.push_back(
          {write.on_behalf_of, true, "FailedCreate", "Error creating: " + error.to_string()});
    }
    if (write.on_behalf_of && write.verb == Write::Verb::kPatchResize) {
      result_.notes.push_back({write.on_behalf_of, true, "ResizeRefused",
                               "Error resizing pod " + write.key.name + ": " + error.to_string()});
    }
    return false;
  }

  void note(const Write& write, const Json& answer) {
    const bool creates = write.verb == Write::Verb::kCreate;
    if (!creates && write.verb != Write::Verb::kDelete) return;
    std::string kind(row(write.key.kind).name);
    if (write.key.kind == Kind::kPod) kind = "pod";
    const std::string name(creates ? objects::find_string(answer, {"metadata", "name"})
                                   : std::string_view(write.key.name));
    result_.notes.push_back({write.on_behalf_of, false,
                             creates ? "SuccessfulCreate" : "SuccessfulDelete",
                             (creates ? "Created " : "Deleted ") + kind + ": " + name});
  }

  void finish(const Next& next, bool ok) {
    next(ok);
    settle();
  }

  void settle() {
    if (--running_ == 0) done_(std::move(result_));
  }

  /// A callback for the client that continues on the loop and keeps this round alive until then.
  template <class Work>
  client::ApiClient::OnObject on_loop(Work work) {
    return
        [loop = loop_, self = shared_from_this(), work = std::move(work)](Result<SharedJson> got) {
          loop->post([self, work, got = std::move(got)] { work(got); });
        };
  }

  client::ApiClient& client_;
  std::shared_ptr<platform::EventLoop> loop_;
  std::function<void(RoundResult)> done_;
  std::map<Key, std::vector<Write>> chains_;
  std::vector<Write> creates_;
  size_t created_ = 0;
  size_t batch_ = kFirstBatch;
  size_t batch_left_ = 0;
  bool batch_failed_ = false;
  size_t running_ = 0;
  RoundResult result_;
};

}  // namespace

void carry_out(client::ApiClient& client, std::shared_ptr<platform::EventLoop> loop,
               std::vector<Write> writes, std::function<void(RoundResult)> done) {
  std::make_shared<Round>(client, std::move(loop), std::move(done))->begin(std::move(writes));
}

}  // namespace berth::controllers
