#pragma once

#include "controllers/controller.h"

namespace berth::controllers {

inline constexpr std::string_view kForegroundFinalizer = "foregroundDeletion";
inline constexpr std::string_view kOrphanFinalizer = "orphan";

/// Deletes what nobody owns any more, holds an owner that is deleted in the foreground until its
/// dependents are gone, and sets dependents free of an owner that leaves them behind. An owner is
/// its uid: a successor of the same name owns nothing. Owners of kinds not known here are taken to
/// exist.
extern const Controller kGarbage;

}  // namespace berth::controllers
