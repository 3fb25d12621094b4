#include <cmath>

#include "fuzz.h"
#include "traces/openb.h"
#include "traces/serving/kernel_profile.h"
#include "traces/serving/request_log.h"
#include "traces/training_queue.h"

using namespace berth::traces;

namespace {

void check_openb(std::string_view text) {
  if (const auto nodes = read_openb_nodes(text, "f")) {
    for (const OpenbNode& node : *nodes) FUZZ_CHECK(node.cpu_milli >= 0 && node.devices >= 0);
  }
  if (const auto pods = read_openb_pods(text, "f")) {
    for (const OpenbPod& pod : *pods) FUZZ_CHECK(pod.total_milli() >= 0);
  }
  constexpr size_t kRows = 3;
  if (const auto arrivals = read_openb_arrivals(text, "f", kRows, kRows)) {
    for (const uint32_t row : arrivals->nodes) FUZZ_CHECK(row < kRows);
    for (const uint32_t row : arrivals->pods) FUZZ_CHECK(row < kRows);
  }
}

void check_request_log(std::string_view text) {
  const auto requests = parse_request_log(text, "f");
  if (!requests) return;
  double before = 0;
  for (const ServedRequest& request : *requests) {
    FUZZ_CHECK(std::isfinite(request.arrival_s) && request.arrival_s >= before);
    before = request.arrival_s;
  }
}

void check_training_jobs(std::string_view text) {
  const auto jobs = read_training_jobs(text, "f");
  if (!jobs) return;
  for (const TrainingJob& job : *jobs) {
    FUZZ_CHECK(job.devices >= 1);
    FUZZ_CHECK(std::isfinite(job.runtime_s) && std::isfinite(job.arrival_s));
  }
}

/// Three files, split by zero bytes.
void check_kernel_profile(std::string_view text) {
  const size_t first = text.find('\0');
  if (first == std::string_view::npos) return;
  const size_t second = text.find('\0', first + 1);
  if (second == std::string_view::npos) return;
  parse_kernel_profile({{text.substr(0, first), "dense"},
                        {text.substr(first + 1, second - first - 1), "per_sequence"},
                        {text.substr(second + 1), "attention"}},
                       32, 1.0);
}

}  // namespace

/// The first byte chooses the format.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  const std::string_view text = as_text(bytes + 1, size - 1);
  switch (bytes[0] % 4) {
    case 0:
      check_openb(text);
      break;
    case 1:
      check_request_log(text);
      break;
    case 2:
      check_training_jobs(text);
      break;
    default:
      check_kernel_profile(text);
      break;
  }
  return 0;
}
