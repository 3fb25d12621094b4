#pragma once

#include "controllers/controller.h"

namespace berth::controllers {

/// Resizes the pods of a Deployment while they run, by what they used of late (`View::use`), within
/// the ranges that its annotations state. What was learned is an annotation of the Deployment and
/// is written before the pods are changed: they, and those that start later with the size of the
/// template, are brought to it. An Event says what changed and why, or what keeps it from changing.
extern const Controller kSizing;

}  // namespace berth::controllers
