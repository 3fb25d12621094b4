#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "objects/path.h"
#include "objects/validate.h"

namespace berth::objects {

/// Collects issues during a walk; `path` is where the walk stands.
class IssueSink {
 public:
  std::string path;

  /// Of the value where the walk stands.
  void add(Issue::Kind kind, std::string what, std::string fix = {}) {
    issues_.push_back({kind, path, std::move(what), std::move(fix)});
  }
  /// Of a member of it.
  void add(Issue::Kind kind, std::string_view member, std::string what, std::string fix) {
    issues_.push_back({kind, child(path, member), std::move(what), std::move(fix)});
  }
  Issues take() { return std::move(issues_); }

 private:
  Issues issues_;
};

/// Drops what is only a consequence: issues at or under the paths that `shape` already complains
/// about, or that an unknown field was probably meant to be.
void drop_consequences(const Issues& shape, Issues& values);

/// Sorted by path, without repetitions.
void sort_issues(Issues& issues);

}  // namespace berth::objects
