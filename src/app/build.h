#pragma once

namespace berth::app {

inline constexpr const char* kBuild = "berth 0.1.0";

}  // namespace berth::app
