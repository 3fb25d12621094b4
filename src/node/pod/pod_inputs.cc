#include "node/pod/pod_inputs.h"

#include <memory>
#include <optional>

#include <fmt/format.h>

#include "node/images/registry_auth.h"
#include "platform/tls/crypto.h"

namespace berth::node {
namespace {

using objects::find;
using objects::find_array;
using objects::find_int;
using objects::find_object;
using objects::find_string;

void add(std::set<InputKey>& out, InputKey::Kind kind, std::string_view name) {
  if (!name.empty()) out.insert({kind, std::string(name), {}, 0});
}

void add_from_env(const Json& container, std::set<InputKey>& out) {
  using Kind = InputKey::Kind;
  for (const Json& env : find_array(container, {"env"})) {
    add(out, Kind::kConfigMap, find_string(env, {"valueFrom", "configMapKeyRef", "name"}));
    add(out, Kind::kSecret, find_string(env, {"valueFrom", "secretKeyRef", "name"}));
  }
  for (const Json& from : find_array(container, {"envFrom"})) {
    add(out, Kind::kConfigMap, find_string(from, {"configMapRef", "name"}));
    add(out, Kind::kSecret, find_string(from, {"secretRef", "name"}));
  }
}

std::string_view word(InputKey::Kind kind) {
  return kind == InputKey::Kind::kSecret ? "secret" : "configmap";
}

struct PendingInputs {
  PodInputs found;
  size_t left = 0;
  std::optional<Error> error;
  std::function<void(Result<PodInputs>)> done;
};

}  // namespace

std::set<InputKey> referenced_inputs(const PodSpec& pod) {
  using Kind = InputKey::Kind;
  std::set<InputKey> out;
  for (const auto* list : {&pod.init_containers, &pod.containers})
    for (const ContainerSpec& c : *list) add_from_env(c.source, out);
  for (const Json& volume : find_array(pod.source, {"spec", "volumes"})) {
    add(out, Kind::kConfigMap, find_string(volume, {"configMap", "name"}));
    add(out, Kind::kSecret, find_string(volume, {"secret", "secretName"}));
    for (const Json& source : find_array(volume, {"projected", "sources"})) {
      add(out, Kind::kConfigMap, find_string(source, {"configMap", "name"}));
      add(out, Kind::kSecret, find_string(source, {"secret", "name"}));
      if (const Json* token = find(source, {"serviceAccountToken"}))
        out.insert({Kind::kToken, pod.service_account.empty() ? "default" : pod.service_account,
                    std::string(find_string(*token, {"audience"})),
                    find_int(*token, {"expirationSeconds"}, 3600)});
    }
  }
  for (const Json& secret : find_array(pod.source, {"spec", "imagePullSecrets"}))
    add(out, Kind::kSecret, find_string(secret, {"name"}));
  return out;
}

void fetch_inputs(client::ApiClient& api, platform::EventLoop& loop, const PodSpec& pod,
                  std::function<void(Result<PodInputs>)> done) {
  const auto keys = referenced_inputs(pod);
  if (keys.empty()) return done(PodInputs{});
  auto pending = std::make_shared<PendingInputs>();
  pending->left = keys.size();
  pending->done = std::move(done);
  for (const InputKey& key : keys) {
    auto answer = [&loop, pending, key](Result<SharedJson> object) {
      loop.post([pending, key, object = std::move(object)] {
        if (object)
          pending->found[key] = *object;
        else if (object.error().code == ErrorCode::kNotFound)
          pending->found[key] = nullptr;
        else
          pending->error = object.error();
        if (--pending->left > 0) return;
        if (pending->error)
          pending->done(std::unexpected(*pending->error));
        else
          pending->done(std::move(pending->found));
      });
    };
    if (key.kind == InputKey::Kind::kToken) {
      JsonObject spec = {
          {"expirationSeconds", key.expiration_seconds},
          {"boundObjectRef",
           JsonObject{
               {"apiVersion", "v1"}, {"kind", "Pod"}, {"name", pod.name}, {"uid", pod.uid}}}};
      if (!key.audience.empty()) spec["audiences"] = JsonArray{key.audience};
      api.create({{"", "v1", "serviceaccounts"}, pod.ns, key.name, "token"},
                 JsonObject{{"apiVersion", "authentication.k8s.io/v1"},
                            {"kind", "TokenRequest"},
                            {"spec", std::move(spec)}},
                 {}, std::move(answer));
      continue;
    }
    const char* plural = key.kind == InputKey::Kind::kSecret ? "secrets" : "configmaps";
    api.get({{"", "v1", plural}, pod.ns, key.name, {}}, std::move(answer));
  }
}

Result<std::map<std::string, std::string>> input_values(const PodInputs& inputs,
                                                        InputKey::Kind kind,
                                                        const std::string& name) {
  const auto found = inputs.find({kind, name, {}, 0});
  if (found == inputs.end() || found->second == nullptr)
    return fail(ErrorCode::kNotFound, fmt::format("{} \"{}\" not found", word(kind), name));
  const Json& object = *found->second;
  std::map<std::string, std::string> out;
  const bool secret = kind == InputKey::Kind::kSecret;
  for (const auto& [key, value] : find_object(object, {"data"})) {
    if (!value.is_string()) continue;
    const std::string_view text = value.get_string();
    if (secret) {
      BERTH_TRY(out[key], platform::from_base64(text));
    } else {
      out[key] = text;
    }
  }
  if (secret) return out;
  for (const auto& [key, value] : find_object(object, {"binaryData"}))
    if (value.is_string()) {
      BERTH_TRY(out[key], platform::from_base64(std::string_view(value.get_string())));
    }
  return out;
}

Result<std::string> input_value(const PodInputs& inputs, InputKey::Kind kind,
                                const std::string& name, std::string_view key) {
  BERTH_TRY(auto values, input_values(inputs, kind, name));
  const auto found = values.find(std::string(key));
  if (found == values.end())
    return fail(ErrorCode::kNotFound,
                fmt::format("couldn't find key {} in {} \"{}\"", key, word(kind), name));
  return found->second;
}

std::string registry_auths(const PodSpec& pod, const PodInputs& inputs) {
  std::vector<std::string> configurations;
  for (const Json& secret : find_array(pod.source, {"spec", "imagePullSecrets"}))
    for (const char* key : {".dockerconfigjson", ".dockercfg"})
      if (auto text = input_value(inputs, InputKey::Kind::kSecret,
                                  std::string(find_string(secret, {"name"})), key))
        configurations.push_back(*std::move(text));
  return merge_auths(configurations);
}

}  // namespace berth::node
