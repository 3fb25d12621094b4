#include "controllers/serving/workload.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/quantity.h"

namespace berth::controllers {
namespace {

/// A replica that loads for longer is restarted.
constexpr int64_t kLoadLimitSeconds = 1800;
/// So long may a stopping replica answer what it has.
constexpr int64_t kDrainSeconds = 300;
/// So long those who send requests take to hear that a replica leaves.
constexpr int64_t kLeaveSeconds = 2;
constexpr std::string_view kModelVolume = "model";
constexpr std::string_view kModelFolder = "/model";

struct Mounted {
  std::string host_folder;
  std::string path;  ///< in the container
};

/// A file is mounted with its folder: the other parts of a split model lie beside it.
Mounted mounted(const std::string& model) {
  if (model.ends_with(".gguf")) {
    const size_t slash = model.rfind('/');
    return {slash == 0 ? "/" : model.substr(0, slash),
            std::string(kModelFolder) + model.substr(slash)};
  }
  return {model, std::string(kModelFolder)};
}

JsonObject probe(const ServiceSpec& spec, int64_t period, int64_t failures) {
  return JsonObject{{"httpGet", JsonObject{{"path", spec.engine->health_path}, {"port", "http"}}},
                    {"periodSeconds", period},
                    {"failureThreshold", failures}};
}

JsonArray env_of(const ServiceSpec& spec, const std::string& path) {
  JsonArray env{JsonObject{{"name", "MODEL_PATH"}, {"value", path}},
                JsonObject{{"name", "MODEL_NAME"}, {"value", spec.model_name}},
                JsonObject{{"name", "PORT"}, {"value", std::to_string(spec.port)}}};
  for (const Json& entry : spec.env) env.push_back(entry);
  return env;
}

JsonObject container_of(const ServiceSpec& spec, const VariantSpec& variant,
                        const std::string& path) {
  JsonArray command;
  for (const std::string& word : spec.engine->command({.model = path,
                                                       .name = spec.model_name,
                                                       .command = spec.command,
                                                       .args = spec.args,
                                                       .port = spec.port,
                                                       .context_tokens = spec.context_tokens,
                                                       .sequences = spec.sequences,
                                                       .devices = variant.devices()}))
    command.emplace_back(word);
  JsonObject resources = variant.resources;
  if (variant.devices() > 0) {
    Json limits = objects::find_object(resources, {"limits"});
    limits.get_object()[variant.resource] = std::to_string(variant.devices());
    resources["limits"] = std::move(limits);
  }
  JsonObject container{
      {"name", "engine"},
      {"image", spec.image},
      {"env", env_of(spec, path)},
      {"ports", JsonArray{JsonObject{{"name", "http"}, {"containerPort", spec.port}}}},
      {"startupProbe", probe(spec, 1, kLoadLimitSeconds)},
      {"readinessProbe", probe(spec, 1, 3)},
      {"livenessProbe", probe(spec, 10, 6)},
      {"lifecycle",
       JsonObject{{"preStop", JsonObject{{"sleep", JsonObject{{"seconds", kLeaveSeconds}}}}}}},
      {"resources", std::move(resources)}};
  if (!command.empty()) container["command"] = std::move(command);
  if (spec.is_local())
    container["volumeMounts"] = JsonArray{
        JsonObject{{"name", kModelVolume}, {"mountPath", kModelFolder}, {"readOnly", true}}};
  return container;
}

JsonObject pod_annotations(const ServiceSpec& spec, const VariantSpec& variant) {
  JsonObject annotations;
  if (variant.count_milli > 0 && variant.count_milli < 1000)
    annotations["berth.dev/gpu-fraction"] =
        fmt::format("{:g}", static_cast<double>(variant.count_milli) / 1000);
  const Engine& engine = *spec.engine;
  if (!engine.busy_metrics.empty())
    annotations[kBusyAnnotation] =
        fmt::format("{}{} {}", engine.metrics_port > 0 ? engine.metrics_port : spec.port,
                    engine.metrics_path, fmt::join(engine.busy_metrics, ","));
  return annotations;
}

}  // namespace

Json deployment_of(const ServiceSpec& spec, const VariantSpec& variant) {
  const std::string name = spec.deployment_name(variant);
  const JsonObject selector{{kModelServiceLabel, spec.name}, {kVariantLabel, name}};
  JsonObject labels = selector;
  if (!spec.queue.empty()) labels["berth.dev/queue"] = spec.queue;
  const Mounted mount = spec.is_local() ? mounted(spec.model) : Mounted{"", spec.model};
  JsonObject pod{{"terminationGracePeriodSeconds", kDrainSeconds},
                 {"containers", JsonArray{container_of(spec, variant, mount.path)}}};
  if (!spec.priority_class.empty()) pod["priorityClassName"] = spec.priority_class;
  if (!variant.accelerator.empty())
    pod["nodeSelector"] = JsonObject{{"berth.dev/accelerator-model", variant.accelerator}};
  if (spec.is_local())
    pod["volumes"] = JsonArray{
        JsonObject{{"name", kModelVolume},
                   {"hostPath", JsonObject{{"path", mount.host_folder}, {"type", "Directory"}}}}};
  JsonObject metadata{{"labels", std::move(labels)}};
  if (JsonObject annotations = pod_annotations(spec, variant); !annotations.empty())
    metadata["annotations"] = std::move(annotations);
  return JsonObject{
      {"metadata", JsonObject{{"name", name}, {"labels", selector}}},
      {"spec",
       JsonObject{
           {"selector", JsonObject{{"matchLabels", selector}}},
           // A new version takes over once it answers: never fewer than there were.
           {"strategy",
            JsonObject{{"type", "RollingUpdate"},
                       {"rollingUpdate", JsonObject{{"maxSurge", 1}, {"maxUnavailable", 0}}}}},
           {"template", JsonObject{{"metadata", std::move(metadata)}, {"spec", std::move(pod)}}}}}};
}

Json service_of(const ServiceSpec& spec) {
  JsonObject annotations{{kModelNameAnnotation, spec.model_name}};
  // What would only wait inside the engine waits in the gateway, where turns are fair.
  if (spec.sequences > 0) annotations[kMaxInFlightAnnotation] = std::to_string(spec.sequences);
  annotations[kHealthPathAnnotation] = spec.engine->health_path;
  if (!spec.objective.empty()) annotations[kObjectiveAnnotation] = spec.objective;
  return JsonObject{
      {"metadata", JsonObject{{"name", spec.name},
                              {"labels", JsonObject{{kModelServiceLabel, spec.name}}},
                              {"annotations", std::move(annotations)}}},
      {"spec",
       JsonObject{{"selector", JsonObject{{kModelServiceLabel, spec.name}}},
                  {"ports", JsonArray{JsonObject{
                                {"name", "http"}, {"port", 80}, {"targetPort", "http"}}}}}}};
}

}  // namespace berth::controllers
