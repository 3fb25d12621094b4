#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "client/api_client.h"

namespace berth::controllers {

/// The kinds that some controller reads. A new one is a value here and a row in kinds.cc.
enum class Kind : uint8_t {
  kNamespace,
  kNode,
  kPod,
  kService,
  kEndpointSlice,
  kConfigMap,
  kSecret,
  kServiceAccount,
  kResourceQuota,
  kDeployment,
  kReplicaSet,
  kJob,
  kPodGroup,
  kPodDisruptionBudget,
  kLease,
  kModelService,
  kServingProfile,
};
inline constexpr size_t kKindCount = static_cast<size_t>(Kind::kServingProfile) + 1;

struct KindRow {
  Kind kind;
  client::Resource resource;
  std::string_view api_version;
  std::string_view name;  ///< `Pod`
  bool namespaced;
  /// Only metadata is kept: nobody reads more than owners and finalizers of these.
  bool metadata_only;
};

const KindRow& row(Kind kind);
std::span<const KindRow> all_kinds();
/// The kind that an owner reference names, whatever the version; nullopt for one not read here.
std::optional<Kind> kind_of(std::string_view api_version, std::string_view name);

/// Where an object is. Orders by kind, then namespace, then name.
struct Key {
  Kind kind = Kind::kPod;
  std::string ns;
  std::string name;

  auto operator<=>(const Key&) const = default;
};

client::Target target(const Key& key, std::string subresource = {});
/// `Pod default/web-0`, for messages.
std::string to_string(const Key& key);

}  // namespace berth::controllers
