#include "cli/resources/manifests.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "objects/path.h"
#include "objects/validate.h"
#include "objects/yaml.h"

namespace berth::cli {
namespace {

namespace fs = std::filesystem;

void add_document(const objects::Registry& registry, const objects::YamlDocument& document,
                  const std::string& file, Manifests& into) {
  const std::string_view kind = objects::kind_of(document.value);
  const Json* items = objects::find(document.value, {"items"});
  if (kind == "List" && items != nullptr && items->is_array()) {
    for (size_t i = 0; i < items->get_array().size(); ++i)
      add_document(registry, document.at(objects::child("items", i), items->get_array()[i]), file,
                   into);
    return;
  }
  std::vector<Error> errors = objects::check_manifest(registry, document, file);
  std::move(errors.begin(), errors.end(), std::back_inserter(into.errors));
  const objects::Kind* found = registry.find_kind(objects::api_version_of(document.value), kind);
  if (found != nullptr && found->plural.empty()) {
    const objects::Position at = document.positions.find("kind");
    into.errors.push_back(
        {ErrorCode::kInvalid, fmt::format("kind: servers keep no {}", kind),
         fmt::format("{}:{}:{}", file, at.line, at.column),
         kind == "BerthConfiguration" ? "give it to `berth serve --config`" : ""});
    return;
  }
  if (found != nullptr) into.items.push_back({file, found, document.value});
}

void load_file(const objects::Registry& registry, const fs::path& file, Manifests& into) {
  std::ifstream in(file, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(in), {});
  if (in.bad() || !in) {
    into.errors.push_back({ErrorCode::kInvalid, "cannot be read", file.string(), ""});
    return;
  }
  load_text(registry, text, file.string(), into);
}

void load_folder(const objects::Registry& registry, const fs::path& folder, Manifests& into) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".yaml" || extension == ".yml" || extension == ".json") {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    into.errors.push_back(
        {ErrorCode::kInvalid, "the folder has no .yaml, .yml or .json file", folder.string(), ""});
  }
  for (const fs::path& file : files) load_file(registry, file, into);
}

}  // namespace

void load_text(const objects::Registry& registry, std::string_view text, const std::string& file,
               Manifests& into) {
  const auto documents = objects::parse_yaml(text, file);
  if (!documents) {
    into.errors.push_back(documents.error());
    return;
  }
  if (documents->empty()) {
    into.errors.push_back({ErrorCode::kInvalid, "there is no object in it", file + ":1:1",
                           "write one with apiVersion, kind and metadata"});
  }
  for (const objects::YamlDocument& document : *documents) {
    add_document(registry, document, file, into);
  }
}

Manifests load_manifests(const objects::Registry& registry,
                         const std::vector<std::string>& places) {
  Manifests manifests;
  for (const std::string& place : places) {
    std::error_code error;
    if (place == "-") {
      const std::string text(std::istreambuf_iterator<char>(std::cin), {});
      load_text(registry, text, "-", manifests);
    } else if (place.starts_with("http://") || place.starts_with("https://")) {
      manifests.errors.push_back({ErrorCode::kInvalid, "manifests are not fetched from the network",
                                  place, "fetch it first: `curl -L URL | berth apply -f -`"});
    } else if (fs::is_directory(place, error)) {
      load_folder(registry, place, manifests);
    } else if (!fs::exists(place, error)) {
      manifests.errors.push_back({ErrorCode::kInvalid, "no such file or folder", place, ""});
    } else {
      load_file(registry, place, manifests);
    }
  }
  return manifests;
}

int report_all(const std::vector<Error>& errors) {
  for (const Error& error : errors) fmt::print(stderr, "{}\n", error.to_string());
  fmt::print(stderr, "error: {} problem{} found, nothing was changed\n", errors.size(),
             errors.size() == 1 ? "" : "s");
  return 2;
}

Result<> set_namespace(Manifest& manifest, const std::string& asked, const std::string& fallback) {
  JsonObject& metadata = objects::ensure_object(manifest.object, {"metadata"});
  if (!manifest.kind->namespaced) {
    metadata.erase("namespace");
    return {};
  }
  const std::string has(objects::namespace_of(manifest.object));
  if (!asked.empty() && !has.empty() && asked != has) {
    return fail(ErrorCode::kInvalid,
                fmt::format("{} \"{}\" is for namespace {}, not for {} as -n says",
                            manifest.kind->kind, objects::name_of(manifest.object), has, asked),
                manifest.file, "drop -n, or metadata.namespace");
  }
  if (has.empty()) metadata["namespace"] = fallback;
  return {};
}

}  // namespace berth::cli
