#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "core/model/event.h"
#include "core/model/plan.h"

namespace berth::control {

/// Where journal lines go. Lines come without their newline, in order, from one thread.
class JournalSink {
 public:
  virtual ~JournalSink() = default;
  /// The lines that follow stand for themselves; earlier segments may be dropped.
  virtual void begin_segment() = 0;
  virtual void append(std::string_view line) = 0;
};

/// What a segment starts with.
struct SegmentHeader {
  std::string build;
  uint64_t seed = 0;
  Time started;
};

/// Writes a journal: lines of JSON.
///   {"segment":{"build":…,"seed":…,"started":…}}     once
///   {"snapshot":EVENT}                                 the state at its start, event by event
///   {"events":[EVENT…]}                                what came before the next decision
///   {"plan":PLAN}                                      what was decided, and is then carried out
class Journal {
 public:
  /// `sink` may be null: then nothing is kept. A segment ends after `segment_bytes`.
  explicit Journal(JournalSink* sink, size_t segment_bytes = size_t{32} << 20)
      : sink_(sink), segment_bytes_(segment_bytes) {}

  bool wants_segment() const { return sink_ != nullptr && (!begun_ || written_ >= segment_bytes_); }
  void begin_segment(const SegmentHeader& header, std::span<const core::Event> snapshot);
  void events(std::span<const core::Event> events);
  void plan(const core::Plan& plan);

 private:
  void append(const std::string& line);

  JournalSink* sink_;
  size_t segment_bytes_;
  size_t written_ = 0;
  bool begun_ = false;
};

}  // namespace berth::control
