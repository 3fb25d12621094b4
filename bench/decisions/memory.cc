#include <sys/resource.h>

#include "bench/decisions/measure.h"

namespace berth::bench {
namespace {

constexpr int kNodes = 10'000;
constexpr int kDevices = 5;
constexpr int kTasks = 100'000;
constexpr int kShapes = 50;
constexpr int kWaves = 10;

}  // namespace

using namespace core;  // NOLINT: the cases speak the core's terms

// They come in waves, each of which is decided about: seven tenths find a place, the rest waits.
Measures memory() {
  Cluster cluster("berth");
  Time now{Duration::hours(1).ns};
  cluster.add(QueueUpsert{.name = "default"});
  for (int n = 0; n < kNodes; ++n)
    cluster.add(gpu_node("node-" + std::to_string(n), kDevices, "rack-" + std::to_string(n / 40)));
  for (int t = 0; t < kTasks; ++t) {
    const int devices = t % 5 == 0 ? 0 : 1;
    TaskUpsert task = gpu_task("team-a/training-job-" + std::to_string(t), devices, "default");
    task.shape.request.cpu_milli = 1000 + 50 * (t % kShapes);
    if (devices == 0) task.shape.devices = {};
    task.created = now;
    cluster.add(task);
    if ((t + 1) % (kTasks / kWaves) != 0) continue;
    cluster.cycle(now);
    now = now + Duration::seconds(1);
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  size_t running = 0;
  for (const Task& task : cluster.state().tasks()) running += task.holds_place();
  return {{"peak_mb", static_cast<double>(usage.ru_maxrss) * 1024 / 1e6},
          {"running", static_cast<double>(running)},
          {"decision_ms", cluster.decision_seconds() * 1e3}};
}

}  // namespace berth::bench
