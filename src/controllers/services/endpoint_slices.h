#pragma once

#include "controllers/controller.h"

namespace berth::controllers {

/// Keeps the EndpointSlices of each Service with a selector: which pods answer for it, at which
/// ports, and whether they are ready or on their way out. One slice for each set of port numbers
/// (a named target port may differ from pod to pod) and thousand endpoints, named after these, so
/// that the same state always gives the same slices.
extern const Controller kEndpointSlices;

}  // namespace berth::controllers
