#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "controllers/view.h"
#include "core/scaling/advice/resize.h"

namespace berth::controllers {

/// What asks for the pods of a Deployment to be resized while they run, as annotations of it: the
/// range of each container's request (`100m..2`, `64Mi..2Gi`), and how far back use counts.
inline constexpr std::string_view kScaleCpu = "berth.dev/scale-cpu";
inline constexpr std::string_view kScaleMemory = "berth.dev/scale-memory";
inline constexpr std::string_view kScaleWindow = "berth.dev/scale-window";
/// What is answered there: the last verdict, and as JSON what was learned.
inline constexpr std::string_view kSizingReason = "berth.dev/sizing-reason";
inline constexpr std::string_view kSizingState = "berth.dev/sizing";

struct SizingSpec {
  core::SizeRange cpu;
  core::SizeRange memory;
  core::ResizeRule rule;
};

/// Nothing for an object without a range. An error says why it cannot be read.
std::optional<Result<SizingSpec>> read_sizing(const Object& deployment);

/// The sizes of a Deployment's containers: as its template says, and what was learned since.
struct Sizing {
  struct Container {
    core::ContainerSize request;  ///< by the template
    core::ContainerSize limit;    ///< by the template
    core::ContainerSize size;     ///< to request now
    int64_t killed_bytes = 0;     ///< the largest request with which it was killed

    bool operator==(const Container&) const = default;
  };
  std::map<std::string, Container> containers = {};  ///< by name
  int64_t changes = 0;
  Time changed = {};                      ///< the last time
  std::vector<std::string> held_up = {};  ///< what cannot have what it needs

  /// What was learned about another template is not true of this one.
  static Sizing read(const Object& deployment);
  std::string text() const;

  bool operator==(const Sizing&) const = default;
};

}  // namespace berth::controllers
