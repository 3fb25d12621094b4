#include "node/pod/env.h"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

namespace berth::node {
namespace {

Json json(std::string_view text) {
  return boost::json::parse(text);
}

SharedJson shared(std::string_view text) {
  return std::make_shared<const Json>(json(text));
}

PodSpec pod_with(std::string_view container) {
  auto pod = read_pod(json(R"({"metadata":{"namespace":"ns","name":"p","uid":"0a-1",
      "labels":{"app":"x","a/b":"q\"q"},"annotations":{"k":"v"}},
      "spec":{"serviceAccountName":"sa","containers":[)" +
                           std::string(container) + "]}}"));
  EXPECT_TRUE(pod) << pod.error().to_string();
  return *pod;
}

PodSurroundings surroundings() {
  return {"node-1", "192.0.2.1", {"10.0.0.5", "fd00::5"}, 4000, 8LL << 30, 1LL << 40};
}

std::string value_of(const Environment& env, const std::string& name) {
  for (const auto& [known, value] : env)
    if (known == name) return value;
  return "<unset>";
}

TEST(Expand, FollowsKubernetes) {
  const std::map<std::string, std::string> known = {{"A", "1"}, {"B", "$(A)"}};
  for (const auto& [text, expected] : std::map<std::string, std::string>{{"$(A)", "1"},
                                                                         {"x$(A)y$(A)", "x1y1"},
                                                                         {"$(B)", "$(A)"},
                                                                         {"$(C)", "$(C)"},
                                                                         {"$$(A)", "$(A)"},
                                                                         {"$$$(A)", "$1"},
                                                                         {"$A", "$A"},
                                                                         {"$(A", "$(A"},
                                                                         {"$", "$"},
                                                                         {"$$", "$"},
                                                                         {"", ""}})
    EXPECT_EQ(expand(text, known), expected) << text;
}

TEST(ResolveEnv, EverySourceAndExpansion) {
  const PodSpec pod = pod_with(R"j({"name":"c","image":"i",
    "resources":{"limits":{"memory":"64Mi"},"requests":{"cpu":"250m"}},
    "envFrom":[{"prefix":"P_","configMapRef":{"name":"cm"}},
               {"secretRef":{"name":"gone","optional":true}}],
    "env":[{"name":"ONE","value":"1"},{"name":"TWO","value":"$(ONE)$(P_k)"},
      {"name":"EARLY","value":"$(LATE)"},{"name":"LATE","value":"l"},
      {"name":"NAME","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}},
      {"name":"LABEL","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels['a/b']"}}},
      {"name":"IP","valueFrom":{"fieldRef":{"fieldPath":"status.podIP"}}},
      {"name":"IPS","valueFrom":{"fieldRef":{"fieldPath":"status.podIPs"}}},
      {"name":"NODE","valueFrom":{"fieldRef":{"fieldPath":"spec.nodeName"}}},
      {"name":"CPU","valueFrom":{"resourceFieldRef":{"resource":"requests.cpu"}}},
      {"name":"CPUM","valueFrom":{"resourceFieldRef":{"resource":"requests.cpu","divisor":"1m"}}},
      {"name":"MEM","valueFrom":{"resourceFieldRef":{"resource":"limits.memory","divisor":"1Mi"}}},
      {"name":"ALLCPU","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu"}}},
      {"name":"KEY","valueFrom":{"configMapKeyRef":{"name":"cm","key":"k"}}},
      {"name":"SECRET","valueFrom":{"secretKeyRef":{"name":"s","key":"p"}}},
      {"name":"NONE","valueFrom":{"secretKeyRef":{"name":"s","key":"x","optional":true}}}]
})j");
  const PodInputs inputs = {
      {{InputKey::Kind::kConfigMap, "cm", "", 0}, shared(R"({"data":{"k":"v"}})")},
      {{InputKey::Kind::kSecret, "s", "", 0}, shared(R"({"data":{"p":"aHVudGVyMg=="}})")},
      {{InputKey::Kind::kSecret, "gone", "", 0}, nullptr}};
  const auto env = resolve_env(pod, pod.containers[0], inputs, surroundings());
  ASSERT_TRUE(env) << env.error().to_string();
  for (const auto& [name, expected] :
       std::map<std::string, std::string>{{"P_k", "v"},
                                          {"ONE", "1"},
                                          {"TWO", "1v"},
                                          {"EARLY", "$(LATE)"},
                                          {"NAME", "p"},
                                          {"LABEL", "q\"q"},
                                          {"IP", "10.0.0.5"},
                                          {"IPS", "10.0.0.5,fd00::5"},
                                          {"NODE", "node-1"},
                                          {"CPU", "1"},
                                          {"CPUM", "250"},
                                          {"MEM", "64"},
                                          {"ALLCPU", "4"},
                                          {"KEY", "v"},
                                          {"SECRET", "hunter2"},
                                          {"NONE", "<unset>"}})
    EXPECT_EQ(value_of(*env, name), expected) << name;
}

TEST(ResolveEnv, SaysWhatIsMissing) {
  const PodSpec no_map = pod_with(R"({"name":"c","image":"i","env":[
      {"name":"A","valueFrom":{"configMapKeyRef":{"name":"cm","key":"k"}}}]})");
  EXPECT_EQ(resolve_env(no_map, no_map.containers[0], {}, surroundings()).error().what,
            "configmap \"cm\" not found");
  const PodInputs empty = {{{InputKey::Kind::kConfigMap, "cm", "", 0}, shared(R"({"data":{}})")}};
  EXPECT_EQ(resolve_env(no_map, no_map.containers[0], empty, surroundings()).error().what,
            "couldn't find key k in configmap \"cm\"");
  const PodSpec bad = pod_with(R"({"name":"c","image":"i","env":[
      {"name":"A","valueFrom":{"fieldRef":{"fieldPath":"spec.nope"}}}]})");
  EXPECT_FALSE(resolve_env(bad, bad.containers[0], {}, surroundings()));
}

TEST(ReferencedInputs, AreFoundInEnvAndVolumes) {
  const auto pod = read_pod(json(R"({"metadata":{"namespace":"n","name":"p","uid":"a"},"spec":{
    "containers":[{"name":"c","env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"s1","key":"k"}}}],
      "envFrom":[{"configMapRef":{"name":"c1"}}]}],
    "volumes":[{"name":"a","configMap":{"name":"c2"}},{"name":"b","secret":{"secretName":"s2"}},
      {"name":"p","projected":{"sources":[{"serviceAccountToken":{"path":"t"}},
                                          {"secret":{"name":"s3"}}]}}]}})"));
  std::string names;
  for (const InputKey& key : referenced_inputs(*pod)) names += key.name + " ";
  EXPECT_EQ(names, "c1 c2 s1 s2 s3 default ");
}

TEST(MergeEnv, LaterNamesWin) {
  EXPECT_EQ(merge_env({"A=image", "PATH=/x"}, {"A=device", "B=device"}, {{"B", "own"}}),
            (std::vector<std::string>{"PATH=/x", "A=device", "B=own"}));
}

TEST(ResolveArgs, FollowsKubernetesTable) {
  ImageConfig image;
  image.entrypoint = {"/ep"};
  image.cmd = {"c1", "$(A)"};
  const Environment env = {{"A", "1"}};
  ContainerSpec c;
  EXPECT_EQ(resolve_args(c, image, env), (std::vector<std::string>{"/ep", "c1", "$(A)"}));
  c.args = {{"a", "$(A)"}};
  EXPECT_EQ(resolve_args(c, image, env), (std::vector<std::string>{"/ep", "a", "1"}));
  c.command = {{"/cmd"}};
  EXPECT_EQ(resolve_args(c, image, env), (std::vector<std::string>{"/cmd", "a", "1"}));
  c.args.reset();
  EXPECT_EQ(resolve_args(c, image, env), (std::vector<std::string>{"/cmd"}));
}

}  // namespace
}  // namespace berth::node
