#include "node/agent/agent.h"

#include <chrono>
#include <filesystem>

#include "tests/integration/node/agent_fixture.h"

namespace berth::node {
namespace {

using objects::find;
using objects::find_array;
using objects::find_int;
using objects::find_string;
using testing::AgentTest;
using testing::eventually;
using testing::kNever;

TEST_F(AgentTest, APodRunsItsLogComesBackAndItIsDeleted) {
  api_.apply("pods", pod("a", "echo hello from $FROM_IMAGE; trap 'exit 0' TERM; sleep 100 & wait"));
  ASSERT_TRUE(is_phase("a", "Running")) << boost::json::serialize(status("a"));
  EXPECT_TRUE(eventually([&] { return log("a") == "hello from 1\n"; })) << log("a");
  EXPECT_EQ(find_string(status("a"), {"status", "podIP"}), "10.99.0.7");
  EXPECT_TRUE(eventually([&] {
    return events("a").find("Started: Started container c") != std::string::npos;
  })) << events("a");
  client::DeleteOptions options;
  api_.remove({{"", "v1", "pods"}, "ns", "a", {}}, options, [](auto) {});
  EXPECT_TRUE(eventually([&] { return status("a").is_null(); }));
  EXPECT_TRUE(eventually([&] { return std::filesystem::is_empty(data() + "/pods"); }));
  EXPECT_TRUE(eventually([&] { return std::filesystem::is_empty(data() + "/logs"); }));
}

TEST_F(AgentTest, TheHostImageRunsWhatIsInstalledHere) {
  Json object = pod("a", "cat --version | head -1; touch /usr/x; touch /tmp/y && ls /tmp; ls /root",
                    "", kNever);
  object.at("spec").at("containers").at(0).at("image") = "host";
  api_.apply("pods", object);
  ASSERT_TRUE(eventually([&] { return phase("a") == "Succeeded" || phase("a") == "Failed"; }))
      << boost::json::serialize(status("a")) << events("a");
  EXPECT_NE(log("a").find("GNU coreutils"), std::string::npos) << log("a");
  EXPECT_NE(log("a").find("Read-only file system"), std::string::npos) << log("a");
  EXPECT_NE(log("a").find("\ny\n"), std::string::npos) << log("a");
}

TEST_F(AgentTest, ContainersShareTheRootOfTheHostImageWhereNothingHasToBeMadeInIt) {
  Json shares = pod("shares", "sleep 100");
  Json makes = pod("makes", "ls -d /new/place && sleep 100",
                   R"("volumeMounts":[{"name":"v","mountPath":"/new/place"}])",
                   R"("volumes":[{"name":"v","emptyDir":{}}])");
  for (Json* object : {&shares, &makes}) {
    object->at("spec").at("containers").at(0).at("image") = "host";
    api_.apply("pods", *object);
  }
  ASSERT_TRUE(is_phase("shares", "Running")) << events("shares");
  ASSERT_TRUE(is_phase("makes", "Running")) << events("makes");
  EXPECT_TRUE(eventually([&] { return log("makes") == "/new/place\n"; })) << log("makes");
  const auto mounts_of = [&](const std::string& name) {
    return *mount_points_below(data() + "/pods/" + uid(name) + "/containers");
  };
  EXPECT_TRUE(mounts_of("shares").empty());
  EXPECT_EQ(mounts_of("makes").size(), 1U);
  EXPECT_FALSE(std::filesystem::exists(sandbox_->path() + "/host/rootfs/new"));
}

TEST_F(AgentTest, CpuWeightsComeOnceItRuns) {
  api_.apply("pods", pod("a", "sleep 100", R"("resources":{"requests":{"cpu":"500m"}})"));
  ASSERT_TRUE(is_phase("a", "Running"));
  const std::string group = fmt::format("{}/burstable/pod{}", cgroup_root(), uid("a"));
  const auto tree = CgroupTree::detect(*read_file("/proc/self/mountinfo"));
  const bool v2 = tree->version() == CgroupTree::Version::kV2;
  const auto weight = [&](const std::string& path) {
    return *read_integer(tree->folder("cpu", path) + (v2 ? "/cpu.weight" : "/cpu.shares"));
  };
  const int64_t wanted = v2 ? weight_from_shares(512) : 512;
  EXPECT_EQ(weight(group), wanted);
  EXPECT_EQ(weight(group + "/c-0"), wanted);
  const auto config =
      read_file(data() + "/pods/" + uid("a") + "/containers/c/0/bundle/config.json");
  EXPECT_EQ(config->find("\"shares\""), std::string::npos) << "runc would start under it";
  // As if Berth had been killed between the start and the weights.
  agent_.reset();
  CgroupLimits none;
  none.cpu_shares = 1024;
  ASSERT_TRUE(tree->apply(group + "/c-0", none));
  start();
  EXPECT_TRUE(eventually([&] { return weight(group + "/c-0") == wanted; }));
}

TEST_F(AgentTest, ExitCodesAndPhases) {
  api_.apply("pods", pod("good", "exit 0", "", kNever));
  api_.apply("pods", pod("bad", "echo why > /dev/termination-log; exit 3", "", kNever));
  ASSERT_TRUE(is_phase("good", "Succeeded"));
  ASSERT_TRUE(is_phase("bad", "Failed"));
  EXPECT_EQ(find_string(terminated("good"), {"reason"}), "Completed");
  EXPECT_EQ(find_string(terminated("bad"), {"reason"}), "Error");
  EXPECT_EQ(find_int(terminated("bad"), {"exitCode"}), 3);
  EXPECT_EQ(find_string(terminated("bad"), {"message"}), "why\n");
}

TEST_F(AgentTest, AProgramThatIsNotThereFailsAndSaysSo) {
  Json object = pod("a", "", "", kNever);
  object.at("spec").at("containers").at(0).at("command") = JsonArray{"/no/such"};
  api_.apply("pods", object);
  ASSERT_TRUE(is_phase("a", "Failed"));
  EXPECT_EQ(find_string(terminated("a"), {"reason"}), "StartError");
  EXPECT_EQ(find_int(terminated("a"), {"exitCode"}), 128);
  EXPECT_NE(find_string(terminated("a"), {"message"}).find("/no/such"), std::string_view::npos);
}

TEST_F(AgentTest, CrashesAreRestartedWithBackOff) {
  api_.apply("pods", pod("a", "echo run; exit 1"));
  ASSERT_TRUE(eventually([&] {
    return find_string(container("a"), {"state", "waiting", "reason"}) == "CrashLoopBackOff";
  })) << boost::json::serialize(status("a"));
  EXPECT_EQ(find_int(container("a"), {"restartCount"}), 1);
  EXPECT_EQ(find_int(container("a"), {"lastState", "terminated", "exitCode"}), 1);
  EXPECT_EQ(log("a", true), "run\n");
  EXPECT_EQ(phase("a"), "Running");
}

TEST_F(AgentTest, MemoryBeyondTheLimitIsOomKilled) {
  api_.apply("pods", pod("a", "tail /dev/zero",
                         R"("resources":{"limits":{"memory":"32Mi","cpu":"500m"}})", kNever));
  ASSERT_TRUE(is_phase("a", "Failed"));
  EXPECT_EQ(find_string(terminated("a"), {"reason"}), "OOMKilled");
  EXPECT_EQ(find_int(terminated("a"), {"exitCode"}), 137);
  EXPECT_EQ(find_string(status("a"), {"status", "qosClass"}), "Guaranteed");
}

TEST_F(AgentTest, CpuIsHeldToTheLimitAndAResizeTakesEffect) {
  api_.apply("pods", pod("a", "while :; do :; done",
                         R"("resources":{"limits":{"cpu":"200m","memory":"64Mi"}})"));
  ASSERT_TRUE(is_phase("a", "Running"));
  const auto cores = [&] {
    for (const PodUsage& p : agent_->usage().pods)
      if (!p.containers.empty()) return p.containers[0].cpu_cores;
    return 0.0;
  };
  EXPECT_TRUE(eventually([&] { return cores() > 0.1 && cores() < 0.3; })) << cores();
  api_.apply("pods", boost::json::parse(R"({"metadata":{"namespace":"ns","name":"a"},"spec":{
      "containers":[{"name":"c","image":"busybox","command":["sh","-c","while :; do :; done"],
        "resources":{"limits":{"cpu":"500m","memory":"96Mi"}}}]}})"));
  EXPECT_TRUE(eventually([&] {
    const Json c = container("a");
    return find_string(c, {"resources", "limits", "cpu"}) == "500m" &&
           find_string(c, {"resources", "limits", "memory"}) == "96Mi";
  })) << boost::json::serialize(container("a"));
  // A busy machine may not have the CPU to show for it; the kernel's own number says what is
  // allowed.
  const auto tree = CgroupTree::detect(*read_file("/proc/self/mountinfo"));
  for (const std::string& group : {fmt::format("{}/pod{}", cgroup_root(), uid("a")),
                                   fmt::format("{}/pod{}/c-0", cgroup_root(), uid("a"))}) {
    const std::string folder = tree->folder("cpu", group);
    if (tree->version() == CgroupTree::Version::kV2)
      EXPECT_EQ(read_file(folder + "/cpu.max"), "50000 100000\n");
    else
      EXPECT_EQ(read_integer(folder + "/cpu.cfs_quota_us"), 50'000);
  }
}

TEST_F(AgentTest, InputsVolumesAndInitContainers) {
  api_.apply(
      "configmaps",
      boost::json::parse(R"({"metadata":{"namespace":"ns","name":"cm"},"data":{"k":"from-map"}})"));
  api_.apply("secrets",
             boost::json::parse(
                 R"({"metadata":{"namespace":"ns","name":"s"},"data":{"p":"aHVudGVyMg=="}})"));
  Json object =
      pod("a", "cat /cm/k /s/p /shared/made /info/labels; echo $POD $KEY; stat -c %a /s/p; id -g",
          R"("env":[{"name":"POD","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}},
                {"name":"KEY","valueFrom":{"configMapKeyRef":{"name":"cm","key":"k"}}}],
         "volumeMounts":[{"name":"cm","mountPath":"/cm"},{"name":"s","mountPath":"/s"},
           {"name":"shared","mountPath":"/shared"},{"name":"info","mountPath":"/info"}])",
          std::string(kNever) + R"(,"volumes":[{"name":"cm","configMap":{"name":"cm"}},
        {"name":"s","secret":{"secretName":"s","defaultMode":256}},{"name":"shared","emptyDir":{}},
        {"name":"info","downwardAPI":{"items":[{"path":"labels",
            "fieldRef":{"fieldPath":"metadata.namespace"}}]}}],
        "initContainers":[{"name":"i","image":"busybox","command":["sh","-c","echo init > /shared/made"],
          "volumeMounts":[{"name":"shared","mountPath":"/shared"}]}])");
  api_.apply("pods", object);
  ASSERT_TRUE(is_phase("a", "Succeeded")) << boost::json::serialize(status("a")) << events("a");
  EXPECT_EQ(log("a"), "from-maphunter2init\nnsa from-map\n400\n0\n");
}

TEST_F(AgentTest, AMissingConfigMapIsWaitedFor) {
  api_.apply("pods", pod("a", "echo $KEY",
                         R"("env":[{"name":"KEY","valueFrom":{"configMapKeyRef":
                                   {"name":"late","key":"k"}}}])",
                         kNever));
  ASSERT_TRUE(eventually([&] {
    return find_string(container("a"), {"state", "waiting", "reason"}) ==
           "CreateContainerConfigError";
  })) << boost::json::serialize(status("a"));
  api_.apply(
      "configmaps",
      boost::json::parse(R"({"metadata":{"namespace":"ns","name":"late"},"data":{"k":"came"}})"));
  ASSERT_TRUE(is_phase("a", "Succeeded"));
  EXPECT_EQ(log("a"), "came\n");
}

TEST_F(AgentTest, ProbesDecideReadinessAndRestarts) {
  api_.apply("pods", pod("a", "touch /work/live; sleep 1; touch /work/ready; sleep 100",
                         R"("volumeMounts":[{"name":"w","mountPath":"/work"}],
         "readinessProbe":{"exec":{"command":["test","-e","/work/ready"]},"periodSeconds":1},
         "livenessProbe":{"exec":{"command":["test","-e","/work/live"]},"periodSeconds":1,
                          "failureThreshold":1})",
                         R"("volumes":[{"name":"w","emptyDir":{}}])"));
  ASSERT_TRUE(is_phase("a", "Running"));
  EXPECT_FALSE(objects::find_bool(container("a"), {"ready"}));
  EXPECT_TRUE(eventually([&] { return objects::find_bool(container("a"), {"ready"}); }))
      << events("a");
  std::filesystem::remove(data() + "/pods/" + uid("a") + "/volumes/w/live");
  EXPECT_TRUE(eventually([&] { return find_int(container("a"), {"restartCount"}) == 1; }))
      << events("a");
}

TEST_F(AgentTest, DevicesAreGivenOnceAndOnlyToWhoAsks) {
  const std::string devices =
      R"("berth.dev/devices":"{\"example.com/gpu\":[{\"id\":\"gpu-1\",\"milli\":1000}]}")";
  api_.apply("pods", pod("a", "echo $VISIBLE; ls /dev/gpu-test; sleep 100",
                         R"("resources":{"limits":{"example.com/gpu":"1"}})", "", devices));
  ASSERT_TRUE(is_phase("a", "Running")) << boost::json::serialize(status("a")) << events("a");
  EXPECT_TRUE(eventually([&] { return log("a") == "gpu-1\n/dev/gpu-test\n"; })) << log("a");
  api_.apply("pods", pod("b", "true", R"("resources":{"limits":{"example.com/gpu":"1"}})", kNever,
                         devices));
  ASSERT_TRUE(is_phase("b", "Failed"));
  EXPECT_EQ(find_string(status("b"), {"status", "reason"}), "UnexpectedAdmissionError");
  api_.apply("pods", pod("c", "echo $VISIBLE; ls /dev/gpu-test", "", kNever));
  ASSERT_TRUE(is_phase("c", "Failed"));
  EXPECT_EQ(log("c").substr(0, 5), "void\n");
}

TEST_F(AgentTest, TooMuchDiskIsEvicted) {
  api_.apply("pods", pod("a", "head -c 3000000 /dev/zero > /scratch/x; sleep 100",
                         R"("volumeMounts":[{"name":"scratch","mountPath":"/scratch"}])",
                         R"("volumes":[{"name":"scratch","emptyDir":{"sizeLimit":"1Mi"}}])"));
  ASSERT_TRUE(is_phase("a", "Failed")) << boost::json::serialize(status("a"));
  EXPECT_EQ(find_string(status("a"), {"status", "reason"}), "Evicted");
  EXPECT_EQ(find_string(status("a"), {"status", "message"}),
            "Usage of EmptyDir volume \"scratch\" exceeds the limit \"1Mi\".");
}

TEST_F(AgentTest, ContainersOfAPodMayShareTheirProcesses) {
  Json object = pod("a", "sleep 100", "", R"("shareProcessNamespace":true)");
  Json second = object.at("spec").at("containers").at(0);
  second.at("name") = "d";
  second.at("command") = JsonArray{"sh", "-c", "sleep 77"};
  object.at("spec").at("containers").as_array().push_back(second);
  api_.apply("pods", object);
  ASSERT_TRUE(is_phase("a", "Running")) << boost::json::serialize(status("a"));
  ContainerRuntime::Options options;
  options.state_dir = sandbox_->path() + "/run";
  options.exit_dir = sandbox_->path() + "/run/exits";
  const auto runtime = ContainerRuntime::open(options);
  const auto processes =
      runtime->exec(container_id(uid("a"), "c", 0), {"ps"}, Duration::seconds(10));
  ASSERT_TRUE(processes);
  EXPECT_NE(processes->output.find("sleep 77"), std::string::npos) << processes->output;
  EXPECT_NE(processes->output.find("sleep 100"), std::string::npos) << processes->output;
}

TEST_F(AgentTest, ACheckpointIsAnnotated) {
  api_.apply("pods", pod("a", "echo x > /w/ckpt; sleep 100",
                         R"("env":[{"name":"BERTH_CHECKPOINT_FILE","value":"/w/ckpt"}],
                            "volumeMounts":[{"name":"w","mountPath":"/w"}])",
                         R"("volumes":[{"name":"w","emptyDir":{}}])"));
  EXPECT_TRUE(eventually([&] {
    return !find_string(status("a"), {"metadata", "annotations", "berth.dev/last-checkpoint"})
                .empty();
  }));
}

TEST_F(AgentTest, TheNodeIsRegisteredWithWhatItHas) {
  ASSERT_TRUE(eventually([&] {
    return !api_.now("leases", "kube-node-lease", "node-1").is_null() &&
           find(api_.now("nodes", "", "node-1"), {"status", "capacity"}) != nullptr;
  }));
  const Json node = api_.now("nodes", "", "node-1");
  EXPECT_EQ(find_string(node, {"status", "capacity", "example.com/gpu"}), "2");
  EXPECT_EQ(find_string(node, {"status", "capacity", "pods"}), "250");
  EXPECT_EQ(find_string(node, {"metadata", "labels", "berth.dev/accelerator-model"}), "Test-GPU");
  const std::string text(find_string(node, {"metadata", "annotations", "berth.dev/devices"}));
  EXPECT_NE(text.find("\"id\":\"gpu-0\""), std::string::npos) << text;
}

TEST_F(AgentTest, ManyPodsAtOnceComeAndGo) {
  constexpr int kPods = 40;
  const auto all = [&](const std::function<bool(const std::string&)>& check) {
    for (int i = 0; i < kPods; ++i)
      if (!check(fmt::format("p{}", i))) return false;
    return true;
  };
  for (int i = 0; i < kPods; ++i) api_.apply("pods", pod(fmt::format("p{}", i), "exec sleep 100"));
  ASSERT_TRUE(eventually([&] { return all([&](const auto& n) { return phase(n) == "Running"; }); },
                         std::chrono::seconds(90)));
  // Half of them go while nobody watches.
  for (int i = 0; i < kPods; ++i) {
    if (i == kPods / 2) agent_.reset();
    api_.remove({{"", "v1", "pods"}, "ns", fmt::format("p{}", i), {}}, {}, [](auto) {});
  }
  start();
  EXPECT_TRUE(eventually([&] { return all([&](const auto& n) { return status(n).is_null(); }); },
                         std::chrono::seconds(60)));
  EXPECT_TRUE(eventually([&] { return std::filesystem::is_empty(data() + "/pods"); }));
}
}  // namespace
}  // namespace berth::node
