#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "client/api_client.h"
#include "core/cost/ledger.h"

namespace berth::bridge {

struct BookkeeperOptions {
  client::ApiClient& client;  ///< outlives the bookkeeper
  const Clock& clock;         ///< outlives the bookkeeper
  std::filesystem::path file{};
  /// As the configuration has them. What changed since they were read last changes from now on.
  core::PriceList prices{};
  std::string currency{};
  /// For the log; called on the bookkeeper's thread.
  std::function<void(bool warning, std::string_view text)> log{};
};

/// Keeps the ledger: watches Pods, Nodes and what gateways counted, writes who held what and when
/// to a file, and tells what it cost. Every change of a Pod is read, also those that came while it
/// was away. Queues with a budget are told in their status what is spent; the scheduler goes by
/// that. A thread of its own between `start` and `stop`.
class Bookkeeper {
 public:
  /// Fails on a file that is no ledger, or another currency than the ledger's.
  static Result<std::unique_ptr<Bookkeeper>> start(BookkeeperOptions options);
  ~Bookkeeper();

  /// Any thread but its own. Nothing changes on an error.
  Result<> set_prices(core::PriceList prices, std::string currency);

  /// Of [from, to), with everything that was seen until now. `done` is called once, on the
  /// bookkeeper's thread (or the caller's when it has stopped). Any thread.
  void report(core::CostDimension by, Time from, Time to, std::function<void(Result<Json>)> done);
  /// The same as FOCUS 1.2 CSV.
  void focus(Time from, Time to, std::function<void(Result<std::string>)> done);

  /// What was seen is kept. Idempotent.
  void stop();

 private:
  class Body;
  explicit Bookkeeper(std::unique_ptr<Body> body);
  std::unique_ptr<Body> body_;
};

}  // namespace berth::bridge
