#include "objects/schema.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "objects/schema/reader.h"
#include "objects/schema/text.h"

namespace berth::objects {
namespace {

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

}  // namespace

const Field* Struct::find(std::string_view field) const {
  const auto at = std::ranges::lower_bound(fields, field, {}, &Field::name);
  return at != fields.end() && at->name == field ? &*at : nullptr;
}

std::string Kind::api_version() const {
  return group.empty() ? std::string(version) : std::string(group) + '/' + std::string(version);
}

const Subresource* Kind::find_subresource(std::string_view wanted) const {
  const auto at = std::ranges::find(subresources, wanted, &Subresource::name);
  return at != subresources.end() ? &*at : nullptr;
}

bool Kind::has_verb(std::string_view verb) const {
  return std::ranges::find(verbs, verb) != verbs.end();
}

Registry::Registry() = default;
Registry::~Registry() = default;

std::unique_ptr<Registry> Registry::built_in() {
  auto registry = std::make_unique<Registry>();
  if (const auto read = SchemaReader(*registry).read(built_in_schema()); !read) {
    // The text is part of this program: a line that cannot be read is a bug of the build.
    fmt::print(stderr, "built-in schema: {}\n", read.error().to_string());
    std::abort();
  }
  return registry;
}

const Kind* Registry::find(std::string_view group, std::string_view version,
                           std::string_view plural) const {
  for (const Kind* kind : kinds_)
    if (kind->plural == plural && kind->group == group && kind->version == version) return kind;
  return nullptr;
}

const Kind* Registry::find_kind(std::string_view api_version, std::string_view wanted) const {
  const size_t slash = api_version.find('/');
  const std::string_view group =
      slash == std::string_view::npos ? std::string_view() : api_version.substr(0, slash);
  const std::string_view version =
      slash == std::string_view::npos ? api_version : api_version.substr(slash + 1);
  for (const Kind* kind : kinds_)
    if (kind->kind == wanted && kind->group == group && kind->version == version) return kind;
  return nullptr;
}

const Kind* Registry::find_alias(std::string_view word) const {
  const size_t dot = word.find('.');
  const std::string_view name = word.substr(0, dot);
  const std::string_view group =
      dot == std::string_view::npos ? std::string_view() : word.substr(dot + 1);
  for (const Kind* kind : kinds_) {
    if (kind->plural.empty()) continue;
    if (dot != std::string_view::npos && !same_word(kind->group, group)) continue;
    const bool named =
        same_word(name, kind->plural) || same_word(name, kind->singular) ||
        same_word(name, kind->kind) ||
        std::ranges::any_of(kind->short_names, [&](auto text) { return same_word(name, text); });
    if (named) return kind;
  }
  return nullptr;
}

const Struct* Registry::find_struct(std::string_view name) const {
  const auto at = struct_by_name_.find(name);
  return at != struct_by_name_.end() ? at->second : nullptr;
}

Result<> Registry::add(std::string_view text) {
  return SchemaReader(*this).read_copy(std::string(text));
}

std::string_view api_version_of(const Json& object) {
  return find_string(object, {"apiVersion"});
}
std::string_view kind_of(const Json& object) {
  return find_string(object, {"kind"});
}
std::string_view name_of(const Json& object) {
  return find_string(object, {"metadata", "name"});
}
std::string_view namespace_of(const Json& object) {
  return find_string(object, {"metadata", "namespace"});
}
std::string_view uid_of(const Json& object) {
  return find_string(object, {"metadata", "uid"});
}
std::string_view resource_version_of(const Json& object) {
  return find_string(object, {"metadata", "resourceVersion"});
}

}  // namespace berth::objects
