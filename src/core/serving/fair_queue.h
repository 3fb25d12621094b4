#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "base/time.h"
#include "core/serving/tokens.h"

namespace berth::core {

/// A request that waits, as the queue sees it.
struct QueuedRequest {
  uint64_t id = 0;  ///< the caller's; unique among those that wait
  TenantId tenant = {};
  int priority = 0;  ///< higher goes first among the requests of one tenant
  int64_t input_tokens = 0;
  int64_t expected_output_tokens = 0;
  int64_t expected_work = 0;  ///< weighted tokens, to foresee waits
  uint64_t prefix = 0;        ///< what its prompt begins with, hashed; 0: nothing to speak of
  Time arrived = {};
  Time expires{INT64_MAX};
  bool start_due = false;  ///< it waits for a server to start, not for its turn
};

/// Whose turn it is: the virtual token counter of "Fairness in Serving Large Language Models"
/// (Sheng et al., OSDI 2024) with weights.
///
/// Each tenant has a counter of the weighted tokens that it was served, divided by its weight. The
/// next request is one of the tenant with the smallest counter; ties go to the lower id. A tenant
/// that comes back is lifted to the smallest counter among those that wait (or, when nobody waits,
/// to that of the tenant that waited last), so that idling saves nothing up.
///
/// Bound (their theorem 4.4): while two tenants both wait, what they are served differs by at most
/// `gap_bound`. With weights it holds for service divided by weight.
///
/// Priority orders the requests of one tenant; one that has waited for `starvation_limit` goes
/// before any younger one of its tenant. Between tenants priority counts nothing, and nobody can be
/// starved: whoever waits is served once the others are the bound ahead.
///
/// Not thread-safe.
class FairQueue {
 public:
  struct Options {
    TokenWeights tokens;
    Duration starvation_limit = Duration::seconds(30);
  };

  explicit FairQueue(Options options) : options_(options) {}

  /// 2 * max(w_in * longest input, w_out * output tokens in flight at most) / smallest weight.
  static double gap_bound(const TokenWeights& tokens, int64_t max_input_tokens,
                          int64_t max_output_tokens_in_flight, double min_weight = 1);

  /// Sets a tenant's weight, in thousandths; 1000 where it was never set.
  void on_tenant(TenantId tenant, int64_t weight_milli);

  void on_arrival(const QueuedRequest& request);
  /// As arrival and `take` in one, for a request that need not wait. Needs `empty()`.
  void on_pass(TenantId tenant, int64_t input_tokens);
  /// The next request, charged with its input; nothing when nobody waits.
  std::optional<QueuedRequest> take(Time now);
  /// Puts back what was taken, in its old place and with its input given back.
  void on_return(const QueuedRequest& request);
  /// False where it does not wait any more.
  bool on_cancel(const QueuedRequest& request);
  /// Tokens that the tenant's running requests were found to cost beyond what was charged; may be
  /// negative.
  void on_tokens(TenantId tenant, int64_t input_tokens, int64_t output_tokens);
  /// Takes out what waited until its end.
  std::vector<QueuedRequest> expire(Time now);

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  size_t waiting(TenantId tenant) const;
  /// An equal part of `places` among those that wait and this tenant.
  size_t fair_places(TenantId tenant, size_t places) const;
  /// The counter, in weighted tokens over weight.
  double counter(TenantId tenant) const;

  /// Weighted tokens that would be served before a request of this tenant and priority that came
  /// now, if all tenants were served at once by their weights (generalised processor sharing).
  int64_t work_ahead(TenantId tenant, int priority) const;

  const Options& options() const { return options_; }

 private:
  /// The requests of one tenant and priority, by arrival and then id.
  struct Line {
    std::map<std::pair<Time, uint64_t>, QueuedRequest> requests;
    int64_t work = 0;  ///< expected
  };

  struct Tenant {
    int64_t weight_milli = 1000;
    int64_t counter = 0;  ///< thousandths of a weighted token at weight 1
    std::map<int, Line, std::greater<>> lines;
    size_t waiting = 0;
    int64_t work = 0;  ///< expected, of all its lines
  };

  Tenant& at(TenantId tenant);
  const Tenant* find(TenantId tenant) const;
  void lift(Tenant& tenant);
  void charge(Tenant& tenant, int64_t work);
  /// Takes one out of its line.
  QueuedRequest remove(QueuedRequest which);

  const Options options_;
  std::vector<Tenant> tenants_;
  std::vector<TenantId> active_;  ///< those with requests that wait
  int64_t last_left_ = 0;         ///< counter of the tenant that was active last
  size_t size_ = 0;
};

}  // namespace berth::core
