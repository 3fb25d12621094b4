#pragma once

#include "controllers/controller.h"

namespace berth::controllers {

/// Runs a ModelService: a Deployment for each variant, with as many replicas as scaling wants, and
/// one Service in front. A variant whose replicas cannot ever fit into memory gets none; the
/// condition `Fits` has the arithmetic.
extern const Controller kModelService;

}  // namespace berth::controllers
