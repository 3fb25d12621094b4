#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "cli/resources/kinds.h"
#include "cli/server/api.h"
#include "objects/json.h"

namespace berth::cli {

/// The pods behind `pod/X`, `job/X`, `deploy/X`, `rs/X` or a plain pod name, oldest first. Fails
/// with kNotFound when the object is not there; a workload without pods gives an empty list.
Result<std::vector<Json>> pods_of(const Api& api, const std::string& word);

/// The query syntax of a `metav1.LabelSelector`: `app=web,tier in (a,b)`.
std::string selector_text(const Json& selector);

}  // namespace berth::cli
