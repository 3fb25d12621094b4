#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "objects/json.h"
#include "objects/schema.h"

namespace berth::cli {

struct Manifest {
  std::string file;  ///< for messages; `-` is standard input
  const objects::Kind* kind = nullptr;
  Json object;
};

struct Manifests {
  std::vector<Manifest> items;
  std::vector<Error> errors;  ///< every one of every file; when there are any, use no item
};

/// Reads manifests from files, folders (their `.yaml`, `.yml` and `.json`, by name) and `-`, checks
/// each against its schema, and takes `List`s apart.
Manifests load_manifests(const objects::Registry& registry, const std::vector<std::string>& places);

/// The same for a text that was read already.
void load_text(const objects::Registry& registry, std::string_view text, const std::string& file,
               Manifests& into);

/// Prints the errors, one a line; answers the exit code 2.
int report_all(const std::vector<Error>& errors);

/// Where an object without a namespace goes. Fails when the manifest says another one than the user
/// did with `-n`.
Result<> set_namespace(Manifest& manifest, const std::string& asked, const std::string& fallback);

}  // namespace berth::cli
