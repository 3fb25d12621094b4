#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "base/error.h"
#include "client/api_client.h"
#include "node/pod/pod_spec.h"
#include "objects/json.h"
#include "platform/event_loop.h"

namespace berth::node {

/// Something of the API that a pod reads: a ConfigMap, a Secret, or a token of its service account.
struct InputKey {
  enum class Kind { kConfigMap, kSecret, kToken } kind = Kind::kConfigMap;
  std::string name;
  std::string audience;            ///< tokens only
  int64_t expiration_seconds = 0;  ///< tokens only

  auto operator<=>(const InputKey&) const = default;
};

/// What was fetched. A key with null does not exist; a key that is not here was not asked for.
using PodInputs = std::map<InputKey, SharedJson>;

/// Everything that the containers' environments, the volumes and `imagePullSecrets` of the pod
/// refer to.
std::set<InputKey> referenced_inputs(const PodSpec& pod);

/// Fetches them; `done` is called once, on the loop (at once when there are none).
void fetch_inputs(client::ApiClient& api, platform::EventLoop& loop, const PodSpec& pod,
                  std::function<void(Result<PodInputs>)> done);

/// A key's value in a ConfigMap (`data`, `binaryData`) or a Secret, decoded. `kNotFound` names
/// what is missing as the kubelet does.
Result<std::string> input_value(const PodInputs& inputs, InputKey::Kind kind,
                                const std::string& name, std::string_view key);
/// All keys with their values.
Result<std::map<std::string, std::string>> input_values(const PodInputs& inputs,
                                                        InputKey::Kind kind,
                                                        const std::string& name);

/// Access to registries by `imagePullSecrets`: the text of an auth file, or empty. A Secret that is
/// not there, or of another type, is passed over, as by the kubelet.
std::string registry_auths(const PodSpec& pod, const PodInputs& inputs);

}  // namespace berth::node
