#include "apiserver/api/lifecycle.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/tls/crypto.h"

namespace berth::apiserver {
namespace {

using objects::find;
using objects::find_array;
using objects::find_int;
using objects::find_string;

constexpr std::string_view kModified =
    "the object has been modified; please apply your changes to the latest version and try again";
constexpr int64_t kMaxAnnotationBytes = 256 << 10;

/// Five letters that make no words, from kube-apiserver's alphabet.
std::string random_suffix() {
  constexpr std::string_view kLetters = "bcdfghjklmnpqrstvwxz2456789";
  std::string suffix;
  for (const char byte : platform::random_bytes(5)) {
    suffix += kLetters[static_cast<unsigned char>(byte) % kLetters.size()];
  }
  return suffix;
}

bool has_status(const objects::Kind& kind) {
  return kind.find_subresource("status") != nullptr;
}

/// Fills in what the address of the request says, and refuses what contradicts it.
Answer<> check_identity(const Subject& subject, Json& body) {
  const objects::Kind& kind = *subject.kind;
  if (!body.is_object()) return bad_request("the body is not a JSON object");
  const std::string served = kind.api_version();
  const std::string_view api_version = find_string(body, {"apiVersion"}, served);
  const std::string_view kind_name = find_string(body, {"kind"}, kind.kind);
  if (api_version != served || kind_name != kind.kind) {
    return bad_request(fmt::format("the body is a {} of {}, but the address is that of {} of {}",
                                   kind_name, api_version, kind.kind, served));
  }
  body.as_object()["apiVersion"] = served;
  body.as_object()["kind"] = kind.kind;
  if (const Json* metadata = find(body, {"metadata"}); metadata && !metadata->is_object()) {
    return bad_request("metadata is not an object");
  }
  JsonObject& metadata = objects::ensure_object(body, {"metadata"});
  const std::string_view ns = find_string(body, {"metadata", "namespace"});
  if (kind.namespaced) {
    if (!ns.empty() && ns != subject.ns) {
      return bad_request(fmt::format(
          "the namespace of the object ({}) does not match the namespace of the request ({})", ns,
          subject.ns));
    }
    metadata["namespace"] = subject.ns;
  } else {
    metadata.erase("namespace");
  }
  const std::string_view name = find_string(body, {"metadata", "name"});
  if (!subject.name.empty() && !name.empty() && name != subject.name) {
    return bad_request(
        fmt::format("the name of the object ({}) does not match the name of the request ({})", name,
                    subject.name));
  }
  if (!subject.name.empty()) metadata["name"] = subject.name;
  return {};
}

void copy_or_erase(JsonObject& to, const JsonObject& from, std::string_view key) {
  if (const Json* value = from.if_contains(key)) {
    to[key] = *value;
  } else {
    to.erase(key);
  }
}

/// Everything but metadata and status, which is what `metadata.generation` counts.
bool same_intent(const Json& a, const Json& b) {
  const JsonObject& left = a.get_object();
  const JsonObject& right = b.get_object();
  const auto covered = [](const JsonObject& one, const JsonObject& other) {
    return std::ranges::all_of(one, [&](const auto& member) {
      if (member.key() == "metadata" || member.key() == "status") return true;
      const Json* twin = other.if_contains(member.key());
      return twin != nullptr && *twin == member.value();
    });
  };
  return covered(left, right) && covered(right, left);
}

Answer<Json> checked(const Subject& subject, Body body, const WriteContext& context,
                     const Json* before, std::vector<std::string>& warnings) {
  const objects::Kind& kind = *subject.kind;
  const std::string name(objects::name_of(body.value));
  objects::Prepared prepared =
      objects::prepare(kind, std::move(body.value), context.validation, body.duplicates, before);
  for (std::string& warning : prepared.warnings) warnings.push_back(std::move(warning));
  if (!prepared.undecodable.empty()) return undecodable(kind, prepared.undecodable);
  if (!prepared.invalid.empty()) return invalid(kind, name, prepared.invalid);
  int64_t annotation_bytes = 0;
  for (const auto& member : objects::find_object(prepared.object, {"metadata", "annotations"})) {
    annotation_bytes += static_cast<int64_t>(member.key().size());
    if (member.value().is_string()) {
      annotation_bytes += static_cast<int64_t>(member.value().get_string().size());
    }
  }
  if (annotation_bytes > kMaxAnnotationBytes) {
    return invalid(kind, name,
                   {{objects::Issue::Kind::kTooLong, "metadata.annotations",
                     "the annotations take more than 256 KiB", "keep large data in a ConfigMap"}});
  }
  return std::move(prepared.object);
}

/// The object through one of its parts: the state before, with that part from the body.
Json with_part(const Json& before, const Json& body, std::string_view part) {
  Json object = before;
  const JsonObject empty;
  const JsonObject& source = body.is_object() ? body.get_object() : empty;
  copy_or_erase(object.as_object(), source, part);
  return object;
}

/// `resize` changes the resources of containers and nothing else.
Answer<Json> resized(const Subject& subject, const Json& before, const Json& body) {
  Json object = before;
  for (const std::string_view list : {"containers", "initContainers"}) {
    Json* containers = objects::ensure_object(object, {"spec"}).if_contains(list);
    if (containers == nullptr || !containers->is_array()) continue;
    for (Json& container : containers->get_array()) {
      const std::string name(find_string(container, {"name"}));
      for (const Json& wanted : find_array(body, {"spec", list})) {
        if (find_string(wanted, {"name"}) != name || !wanted.is_object()) continue;
        copy_or_erase(container.as_object(), wanted.get_object(), "resources");
        copy_or_erase(container.as_object(), wanted.get_object(), "resizePolicy");
      }
    }
  }
  if (find(body, {"spec"}) == nullptr ||
      find(body, {"spec"})->as_object().size() != find(object, {"spec"})->as_object().size()) {
    return invalid(*subject.kind, subject.name,
                   {{objects::Issue::Kind::kForbidden,
                     "spec",
                     "only the resources of containers can be resized",
                     {}}});
  }
  return object;
}

}  // namespace

bool is_deleting(const Json& object) {
  return find(object, {"metadata", "deletionTimestamp"}) != nullptr;
}

Answer<Json> new_object(const Subject& subject, Body body, const WriteContext& context, Time now,
                        std::vector<std::string>& warnings) {
  const objects::Kind& kind = *subject.kind;
  if (auto good = check_identity(subject, body.value); !good) {
    return std::unexpected(std::move(good).error());
  }
  if (!objects::resource_version_of(body.value).empty()) {
    return bad_request("resourceVersion should not be set on objects to be created");
  }
  JsonObject& metadata = objects::ensure_object(body.value, {"metadata"});
  for (const std::string_view key :
       {"uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink",
        "managedFields", "resourceVersion", "generation"}) {
    metadata.erase(key);
  }
  if (objects::name_of(body.value).empty()) {
    const std::string_view prefix = find_string(body.value, {"metadata", "generateName"});
    if (!prefix.empty()) {
      metadata["name"] = std::string(prefix.substr(0, 58)) + random_suffix();
    }
  }
  metadata["uid"] = platform::random_uuid();
  metadata["creationTimestamp"] = format_time(now);
  if (has_status(kind)) {
    // A node says what it has when it registers.
    if (kind.kind != "Node") body.value.as_object().erase("status");
    metadata["generation"] = 1;
  }
  return checked(subject, std::move(body), context, nullptr, warnings);
}

Answer<Json> next_object(const Subject& subject, const Json& before, Body body,
                         const WriteContext& context, std::vector<std::string>& warnings) {
  const objects::Kind& kind = *subject.kind;
  if (auto good = check_identity(subject, body.value); !good) {
    return std::unexpected(std::move(good).error());
  }
  const std::string_view version = objects::resource_version_of(body.value);
  if (!version.empty() && version != objects::resource_version_of(before)) {
    return conflict(kind, subject.name, kModified);
  }
  const std::string_view uid = objects::uid_of(body.value);
  if (!uid.empty() && uid != objects::uid_of(before)) {
    return conflict(kind, subject.name,
                    fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: "
                                "{}",
                                uid, objects::uid_of(before)));
  }
  const Json* compare_with = &before;
  if (subject.subresource == "status") {
    body.value = with_part(before, body.value, "status");
    compare_with = nullptr;  // what may not change cannot change this way
  } else if (subject.subresource == "resize") {
    auto object = resized(subject, before, body.value);
    if (!object) return object;
    body.value = *std::move(object);
    compare_with = nullptr;
  } else if (has_status(kind)) {
    copy_or_erase(body.value.as_object(), before.get_object(), "status");
  }

  JsonObject& metadata = objects::ensure_object(body.value, {"metadata"});
  const JsonObject& old_metadata = objects::find_object(before, {"metadata"});
  for (const std::string_view key : {"uid", "creationTimestamp", "deletionTimestamp",
                                     "deletionGracePeriodSeconds", "generation", "generateName"}) {
    copy_or_erase(metadata, old_metadata, key);
  }
  metadata.erase("selfLink");
  metadata.erase("managedFields");
  metadata["resourceVersion"] = objects::resource_version_of(before);

  auto object = checked(subject, std::move(body), context, compare_with, warnings);
  if (!object) return object;
  if (is_deleting(before)) {
    const JsonArray& old_finalizers = find_array(before, {"metadata", "finalizers"});
    for (const Json& finalizer : find_array(*object, {"metadata", "finalizers"})) {
      if (std::ranges::find(old_finalizers, finalizer) != old_finalizers.end()) continue;
      return invalid(kind, subject.name,
                     {{objects::Issue::Kind::kForbidden,
                       "metadata.finalizers",
                       "no finalizer can be added to an object that is being deleted",
                       {}}});
    }
  }
  if (has_status(kind) && !same_intent(before, *object)) {
    objects::ensure_object(*object, {"metadata"})["generation"] =
        find_int(before, {"metadata", "generation"}) + 1;
  }
  return object;
}

namespace {

/// How long a pod may take to end: what is not on a node, or has ended, needs no time.
int64_t pod_grace_s(const Json& pod, const Deletion& deletion) {
  const std::string_view phase = find_string(pod, {"status", "phase"});
  if (find_string(pod, {"spec", "nodeName"}).empty() || phase == "Succeeded" || phase == "Failed") {
    return 0;
  }
  const int64_t own = find_int(pod, {"spec", "terminationGracePeriodSeconds"}, 30);
  return std::max<int64_t>(0, deletion.grace_s.value_or(own));
}

/// Adds the finalizer that makes the garbage collector act first, or takes back that of another
/// policy.
void apply_propagation(Json& object, std::string_view propagation) {
  if (propagation.empty()) return;
  constexpr std::string_view kForeground = "foregroundDeletion";
  constexpr std::string_view kOrphan = "orphan";
  JsonArray finalizers;
  for (const Json& finalizer : find_array(object, {"metadata", "finalizers"})) {
    const std::string_view name = find_string(finalizer, {});
    if (name == kForeground || name == kOrphan) continue;
    finalizers.push_back(finalizer);
  }
  if (propagation == "Foreground") finalizers.emplace_back(kForeground);
  if (propagation == "Orphan") finalizers.emplace_back(kOrphan);
  JsonObject& metadata = objects::ensure_object(object, {"metadata"});
  if (finalizers.empty()) {
    metadata.erase("finalizers");
  } else {
    metadata["finalizers"] = std::move(finalizers);
  }
}

Answer<> check_preconditions(const Subject& subject, const Json& before, const Deletion& deletion) {
  const std::string_view uid = objects::uid_of(before);
  if (!deletion.uid.empty() && deletion.uid != uid) {
    return conflict(*subject.kind, subject.name,
                    fmt::format("the UID in the precondition ({}) does not match the UID in record "
                                "({}). The object might have been deleted and then recreated",
                                deletion.uid, uid));
  }
  const std::string_view version = objects::resource_version_of(before);
  if (!deletion.resource_version.empty() && deletion.resource_version != version) {
    return conflict(*subject.kind, subject.name,
                    fmt::format("the ResourceVersion in the precondition ({}) does not match the "
                                "ResourceVersion in record ({}). The object might have been "
                                "modified",
                                deletion.resource_version, version));
  }
  return {};
}

}  // namespace

Answer<DeletionStep> deletion_step(const Subject& subject, const Json& before,
                                   const Deletion& deletion, Time now) {
  if (auto good = check_preconditions(subject, before, deletion); !good) {
    return std::unexpected(std::move(good).error());
  }
  const bool is_pod = subject.kind->kind == "Pod" && subject.kind->group.empty();
  const bool is_namespace = subject.kind->kind == "Namespace" && subject.kind->group.empty();
  DeletionStep step{false, before};
  apply_propagation(step.object, deletion.propagation);
  int64_t grace = is_pod ? pod_grace_s(before, deletion) : 0;
  const bool waits = !find_array(step.object, {"metadata", "finalizers"}).empty();
  if (is_deleting(before)) {
    // A second deletion can shorten the time, never lengthen it.
    grace = std::min(grace, find_int(before, {"metadata", "deletionGracePeriodSeconds"}));
  }
  step.gone = grace == 0 && !waits && !is_namespace;
  if (step.gone) return step;
  JsonObject& metadata = objects::ensure_object(step.object, {"metadata"});
  if (!is_deleting(before) ||
      grace < find_int(before, {"metadata", "deletionGracePeriodSeconds"})) {
    metadata["deletionTimestamp"] = format_time(now + Duration::seconds(grace));
    metadata["deletionGracePeriodSeconds"] = grace;
    if (metadata.contains("generation")) {
      metadata["generation"] = find_int(before, {"metadata", "generation"}) + 1;
    }
  }
  if (is_namespace) objects::ensure_object(step.object, {"status"})["phase"] = "Terminating";
  return step;
}

bool deletion_is_complete(const objects::Kind& kind, const Json& object) {
  if (!is_deleting(object) || !find_array(object, {"metadata", "finalizers"}).empty()) return false;
  if (kind.kind == "Namespace" && kind.group.empty()) return false;  // emptied first
  return find_int(object, {"metadata", "deletionGracePeriodSeconds"}) == 0;
}

}  // namespace berth::apiserver
