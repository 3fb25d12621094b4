#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/quantity.h"
#include "base/time.h"
#include "objects/json.h"

/// What the API server serves but does not know itself: other parts implement these and app/ hands
/// them to `Server::provide`. Every member may be called from any thread, several at once, and must
/// return quickly.
namespace berth::apiserver {

struct LogRequest {
  std::string ns;
  std::string pod;
  std::string pod_uid;
  std::string container;  ///< never empty: the server fills in a pod's only container
  bool follow = false;
  bool previous = false;  ///< of the container's last run before this one
  bool timestamps = false;
  std::optional<int64_t> tail_lines;
  std::optional<int64_t> limit_bytes;
  std::optional<Time> since;
};

/// Where a log goes. Calls come one after the other, from any thread, also while `open` runs.
class LogSink {
 public:
  virtual ~LogSink() = default;
  /// Takes the bytes in any case. False: enough for now, write no more until `LogStream::resume`,
  /// which may come while this is still returning: post it to the thread that writes.
  virtual bool write(std::string bytes) = 0;
  /// The last call.
  virtual void end(Result<> how) = 0;
};

/// A log being read. Destroying it stops the reading: no call of the sink starts after that.
class LogStream {
 public:
  virtual ~LogStream() = default;
  virtual void resume() = 0;
};

class LogSource {
 public:
  virtual ~LogSource() = default;
  /// Fails when there is no such log (yet): kNotFound, or kInvalid with what the user can do.
  virtual Result<std::unique_ptr<LogStream>> open(LogRequest request,
                                                  std::shared_ptr<LogSink> sink) = 0;
};

struct ContainerUsage {
  std::string name;
  Quantity cpu;     ///< cores, averaged over the window
  Quantity memory;  ///< working set, bytes
};

struct PodUsage {
  std::string ns;
  std::string pod;
  Time at;  ///< the end of the window
  Duration window;
  std::vector<ContainerUsage> containers;
};

struct NodeUsage {
  std::string node;
  Time at;
  Duration window;
  Quantity cpu;
  Quantity memory;
};

/// The newest usage samples, served as metrics.k8s.io.
class UsageSource {
 public:
  virtual ~UsageSource() = default;
  virtual std::vector<PodUsage> pods() = 0;
  virtual std::vector<NodeUsage> nodes() = 0;
};

/// Why a pod runs where it runs, or why it waits; served at
/// `GET /berth/v1/explain/namespaces/{ns}/pods/{name}`.
class ExplainSource {
 public:
  virtual ~ExplainSource() = default;
  /// `done` is called exactly once, on any thread.
  virtual void explain(std::string ns, std::string pod, std::function<void(Result<Json>)> done) = 0;
};

/// Takes what gateways saw, `POST /berth/v1/demand`; it is not stored.
class DemandSink {
 public:
  virtual ~DemandSink() = default;
  /// Fails on what no gateway sends.
  virtual Result<> take(const Json& reports) = 0;
};

/// Adds to `GET /metrics`.
class MetricsSource {
 public:
  virtual ~MetricsSource() = default;
  /// In the Prometheus text format; ends with a newline.
  virtual std::string text() = 0;
};

struct CostQuery {
  std::string by;  ///< queue, tenant, model, job or consumer
  Time from, to;
  bool focus = false;  ///< FOCUS 1.2 CSV, as one JSON string
};

/// What things cost; served at `GET /berth/v1/cost`.
class CostSource {
 public:
  virtual ~CostSource() = default;
  /// `done` is called exactly once, on any thread. kInvalid with what the user can do.
  virtual void report(CostQuery query, std::function<void(Result<Json>)> done) = 0;
};

/// What is null is answered with 503 and says so. All outlive the server, or its next `provide`.
struct Providers {
  LogSource* logs = nullptr;
  UsageSource* usage = nullptr;
  ExplainSource* explain = nullptr;
  DemandSink* demand = nullptr;
  MetricsSource* metrics = nullptr;
  CostSource* cost = nullptr;
};

}  // namespace berth::apiserver
