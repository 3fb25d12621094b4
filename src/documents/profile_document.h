#pragma once

#include <string>

#include "base/error.h"
#include "core/scaling/serving/serving_profile.h"
#include "objects/json.h"

namespace berth::documents {

/// A ServingProfile as a document, `berth.dev/v1alpha1`, and back. Errors say `file: path: what;
/// fix`.
Json profile_to_document(const core::ServingProfile& profile, const std::string& name);
Result<core::ServingProfile> profile_from_document(const Json& document, const std::string& file);

}  // namespace berth::documents
