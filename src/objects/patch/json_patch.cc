#include <charconv>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "objects/json_text.h"
#include "objects/patch.h"

namespace berth::objects {
namespace {

// The limits of kube-apiserver: a short patch may not grow a document without bound.
constexpr size_t kMaxOperations = 10'000;
constexpr size_t kMaxCopiedBytes = 3 * 1024 * 1024;

std::unexpected<Error> bad(size_t index, std::string what, std::string fix = {}) {
  return fail(ErrorCode::kInvalid, std::move(what), fmt::format("JSON patch operation {}", index),
              std::move(fix));
}

/// The steps of an RFC 6901 pointer; none when it does not start with `/`.
std::optional<std::vector<std::string>> steps_of(std::string_view pointer) {
  std::vector<std::string> steps;
  while (!pointer.empty()) {
    if (pointer[0] != '/') return std::nullopt;
    pointer.remove_prefix(1);
    const std::string_view raw = pointer.substr(0, pointer.find('/'));
    std::string& step = steps.emplace_back();
    for (size_t i = 0; i < raw.size(); ++i) {
      if (raw[i] == '~' && i + 1 < raw.size() && (raw[i + 1] == '0' || raw[i + 1] == '1')) {
        step += raw[++i] == '0' ? '~' : '/';
      } else if (raw[i] == '~') {
        return std::nullopt;
      } else {
        step += raw[i];
      }
    }
    pointer.remove_prefix(raw.size());
  }
  return steps;
}

/// An index into an array of `size` items; `-` is one past the end.
std::optional<size_t> index_of(std::string_view step, size_t size, bool may_be_end) {
  if (step == "-") return may_be_end ? std::optional(size) : std::nullopt;
  size_t index = 0;
  const auto [end, status] = std::from_chars(step.data(), step.data() + step.size(), index);
  const bool shaped = status == std::errc() && end == step.data() + step.size() &&
                      (step.size() == 1 || step[0] != '0');
  if (!shaped || index > size || (index == size && !may_be_end)) return std::nullopt;
  return index;
}

Json* walk(Json& root, std::span<const std::string> steps) {
  Json* at = &root;
  for (const std::string& step : steps) {
    if (JsonObject* object = at->if_object()) {
      at = object->if_contains(step);
    } else if (JsonArray* array = at->if_array()) {
      const auto index = index_of(step, array->size(), false);
      at = index ? &(*array)[*index] : nullptr;
    } else {
      at = nullptr;
    }
    if (at == nullptr) return nullptr;
  }
  return at;
}

class Patcher {
 public:
  Patcher(Json& root, size_t index) : root_(root), index_(index) {}

  Result<> add(std::string_view path, Json value) {
    BERTH_TRY(const auto steps, read(path));
    if (steps.empty()) {
      root_ = std::move(value);
      return {};
    }
    Json* parent = walk(root_, std::span(steps).first(steps.size() - 1));
    if (JsonObject* object = parent != nullptr ? parent->if_object() : nullptr) {
      (*object)[steps.back()] = std::move(value);
      return {};
    }
    if (JsonArray* array = parent != nullptr ? parent->if_array() : nullptr)
      if (const auto at = index_of(steps.back(), array->size(), true)) {
        array->insert(array->begin() + static_cast<ptrdiff_t>(*at), std::move(value));
        return {};
      }
    return missing(path);
  }

  Result<> remove(std::string_view path) {
    BERTH_TRY(const auto steps, read(path));
    if (steps.empty()) return bad(index_, "the whole document cannot be removed");
    Json* parent = walk(root_, std::span(steps).first(steps.size() - 1));
    if (JsonObject* object = parent != nullptr ? parent->if_object() : nullptr)
      if (object->erase(steps.back()) == 1) return {};
    if (JsonArray* array = parent != nullptr ? parent->if_array() : nullptr)
      if (const auto at = index_of(steps.back(), array->size(), false)) {
        array->erase(array->begin() + static_cast<ptrdiff_t>(*at));
        return {};
      }
    return missing(path);
  }

  Result<Json*> find(std::string_view path) {
    BERTH_TRY(const auto steps, read(path));
    if (Json* value = walk(root_, steps)) return value;
    return missing(path);
  }

 private:
  Result<std::vector<std::string>> read(std::string_view path) const {
    if (auto steps = steps_of(path)) return *std::move(steps);
    return bad(index_, fmt::format("`{}` is not a JSON pointer", path),
               "write it as /spec/containers/0/image, with ~1 for a slash in a key");
  }
  std::unexpected<Error> missing(std::string_view path) const {
    return bad(index_, fmt::format("there is nothing at `{}`", path));
  }

  Json& root_;
  size_t index_;
};

Result<> apply_one(Json& root, const Json& operation, size_t index, size_t& copied_bytes) {
  Patcher patcher(root, index);
  const JsonObject* members = operation.if_object();
  if (members == nullptr) return bad(index, "an operation must be an object");
  const std::string_view op = find_string(operation, {"op"});
  const Json* path_member = find(operation, {"path"});
  if (path_member == nullptr || !path_member->is_string()) return bad(index, "`path` is missing");
  const std::string_view path = path_member->get_string();
  const Json* value = members->if_contains("value");
  if ((op == "add" || op == "replace" || op == "test") && value == nullptr)
    return bad(index, "`value` is missing");

  if (op == "add") return patcher.add(path, *value);
  if (op == "remove") return patcher.remove(path);
  if (op == "replace") {
    BERTH_TRY(Json * at, patcher.find(path));
    *at = *value;
    return {};
  }
  if (op == "test") {
    BERTH_TRY(Json * at, patcher.find(path));
    if (canonical_json(*at) == canonical_json(*value)) return {};
    return bad(index, fmt::format("the test of `{}` failed: the value is {}", path,
                                  canonical_json(*at).substr(0, 200)));
  }
  if (op != "move" && op != "copy")
    return bad(index, fmt::format("`{}` is not an operation", op),
               "use add, remove, replace, move, copy or test");
  const Json* from_member = find(operation, {"from"});
  if (from_member == nullptr || !from_member->is_string()) return bad(index, "`from` is missing");
  const std::string_view from = from_member->get_string();
  BERTH_TRY(Json * source, patcher.find(from));
  Json moved = *source;
  if (op == "copy") {
    copied_bytes += canonical_json(moved).size();
    if (copied_bytes > kMaxCopiedBytes) return bad(index, "the patch copies more than 3 MiB");
  } else {
    if (path.size() > from.size() && path.starts_with(from) && path[from.size()] == '/')
      return bad(index, "a value cannot be moved into itself");
    BERTH_CHECK(patcher.remove(from));
  }
  return patcher.add(path, std::move(moved));
}

}  // namespace

Result<> apply_json_patch(Json& object, const Json& patch) {
  const JsonArray* operations = patch.if_array();
  if (operations == nullptr)
    return fail(ErrorCode::kInvalid, "a JSON patch must be a list of operations");
  if (operations->size() > kMaxOperations)
    return fail(ErrorCode::kInvalid, fmt::format("a JSON patch may have {} operations, not {}",
                                                 kMaxOperations, operations->size()));
  Json patched = object;
  size_t copied_bytes = 0;
  for (size_t i = 0; i < operations->size(); ++i)
    BERTH_CHECK(apply_one(patched, (*operations)[i], i, copied_bytes));
  object = std::move(patched);
  return {};
}

}  // namespace berth::objects
