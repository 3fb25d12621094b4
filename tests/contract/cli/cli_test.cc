#include <csignal>
#include <fstream>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/run/attended.h"
#include "objects/json_text.h"
#include "objects/schema.h"
#include "tests/contract/controllers/machine.h"

namespace berth::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Ran {
  int code = 0;
  std::string out;
  std::string err;
};

class LogsOf final : public apiserver::LogSource {
 public:
  Result<std::unique_ptr<apiserver::LogStream>> open(
      apiserver::LogRequest request, std::shared_ptr<apiserver::LogSink> sink) override {
    class Read final : public apiserver::LogStream {
      void resume() override {}
    };
    sink->write("hello from " + request.pod + "/" + request.container + "\n");
    sink->end({});
    return std::make_unique<Read>();
  }
};

class Reasons final : public apiserver::ExplainSource {
 public:
  void explain(std::string, std::string, std::function<void(Result<Json>)> done) override {
    done(Json(JsonObject{
        {"reasons", JsonArray{JsonObject{{"code", code}, {"message", "no GPU is free"}}}},
        {"queue", "default"},
        {"position", 1}}));
  }

  std::string code = "Insufficient";
};

class CliTest : public controllers::Machine {
 protected:
  void SetUp() override {
    hold_interrupts();  // the server's threads are of this process, too
    Machine::SetUp();
    server_->provide({.logs = &logs_, .explain = &reasons_});
  }

  Ran berth(std::vector<std::string> words) {
    CLI::App root{"", "berth"};
    root.require_subcommand(1);
    root.fallthrough();
    Globals globals;
    globals.kubeconfig = server_->kubeconfig();
    globals.clock = &clock_;
    Ran ran;
    add_globals(root, globals);
    add_apply(root, globals, ran.code);
    add_delete(root, globals, ran.code);
    add_describe(root, globals, ran.code);
    add_explain(root, globals, ran.code);
    add_get(root, globals, ran.code);
    add_logs(root, globals, ran.code);
    add_queue(root, globals, ran.code);
    add_run(root, globals, ran.code);
    add_scale(root, globals, ran.code);
    add_status(root, globals, ran.code);
    add_user(root, globals, ran.code);
    add_version(root, globals, ran.code);
    std::reverse(words.begin(), words.end());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    try {
      root.parse(words);
    } catch (const CLI::ParseError& error) {
      ran.code = 2;
      std::cerr << error.what();
    }
    std::fflush(stdout);
    ran.out = testing::internal::GetCapturedStdout();
    ran.err = testing::internal::GetCapturedStderr();
    return ran;
  }

  /// `berth run`, whose pod gets this status as soon as it is there.
  Ran run_with_status(std::vector<std::string> words, const std::string& status_json) {
    std::thread reports([&] {
      std::string name;
      eventually([&] {
        for (const auto& pod : list(kPods))
          if (objects::find_string(*pod, {"status", "phase"}) != "Failed")
            name = objects::name_of(*pod);
        return !name.empty();
      });
      client::Target status = at(kPods, name);
      status.subresource = "status";
      const auto patched = api_->patch(status, client::PatchType::kMerge,
                                       apiserver::json(R"({"status":)" + status_json + "}"));
      EXPECT_TRUE(patched) << patched.error().to_string();
    });
    Ran ran = berth(std::move(words));
    reports.join();
    return ran;
  }

  static std::string container_status(const std::string& state) {
    return R"("containerStatuses":[{"name":"main","image":"host","imageID":"","ready":false,
              "restartCount":0,"state":)" +
           state + "}]";
  }

  std::string file(const std::string& name, const std::string& text) {
    const auto path = folder_.path() / name;
    std::ofstream(path) << text;
    return path.string();
  }

  static std::string pod(const std::string& name, const std::string& image = "host") {
    return "apiVersion: v1\nkind: Pod\nmetadata:\n  name: " + name +
           "\n  labels: {app: web}\nspec:\n  containers:\n  - name: main\n    image: " + image +
           "\n";
  }

  LogsOf logs_;
  Reasons reasons_;
};

TEST_F(CliTest, AppliesGetsAndDeletes) {
  const std::string manifest = file("pod.yaml", pod("web-0"));
  Ran ran = berth({"apply", "-f", manifest});
  EXPECT_EQ(ran.out, "pod/web-0 created\n") << ran.err;
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(berth({"apply", "-f", manifest}).out, "pod/web-0 unchanged\n");

  file("pod.yaml", pod("web-0", "other"));
  EXPECT_EQ(berth({"apply", "-f", manifest}).out, "pod/web-0 configured\n");

  ASSERT_TRUE(
      eventually([&] { return berth({"get", "pods"}).out.find("Running") != std::string::npos; }));
  ran = berth({"get", "pods", "-o", "name"});
  EXPECT_EQ(ran.out, "pod/web-0\n");
  EXPECT_THAT(berth({"get", "pod", "web-0"}).out, HasSubstr("NAME    READY   STATUS"));
  EXPECT_THAT(berth({"get", "pods", "-A", "-o", "wide"}).out, HasSubstr("default     web-0"));
  EXPECT_THAT(berth({"get", "pod/web-0", "-o", "yaml"}).out, HasSubstr("\n  name: web-0\n"));
  const auto json = objects::parse_json(berth({"get", "pod/web-0", "-o", "json"}).out);
  ASSERT_TRUE(json);
  EXPECT_EQ(objects::kind_of(json->value), "Pod");
  EXPECT_EQ(berth({"get", "pods", "-l", "app=db", "-o", "name"}).out, "");

  ran = berth({"delete", "pod", "web-0"});
  EXPECT_EQ(ran.out, "pod \"web-0\" deleted\n") << ran.err;
  EXPECT_TRUE(list(kPods).empty()) << "it waited";
  ran = berth({"delete", "pod", "web-0"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("not found"));
  EXPECT_EQ(berth({"delete", "pod", "web-0", "--ignore-not-found"}).code, 0);
  EXPECT_EQ(berth({"get", "pod", "web-0"}).code, 1);
  EXPECT_THAT(berth({"get", "pods"}).err, HasSubstr("No resources found in default namespace."));
}

TEST_F(CliTest, ABadManifestChangesNothing) {
  const std::string manifest =
      file("two.yaml", pod("good") + "---\n" + "apiVersion: v1\nkind: Pod\nmeta:\n  name: bad\n");
  const Ran ran = berth({"apply", "-f", manifest});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.err, HasSubstr("unknown field `meta`; did you mean `metadata`?"));
  EXPECT_EQ(ran.out, "");
  EXPECT_TRUE(list(kPods).empty());
}

TEST_F(CliTest, ApplyKeepsWhatOthersChanged) {
  const std::string text =
      "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, labels: {a: '1'}}\nspec:\n"
      "  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n"
      "    spec: {containers: [{name: main, image: host}]}\n";
  ASSERT_EQ(berth({"apply", "-f", file("d.yaml", text)}).code, 0);
  EXPECT_EQ(berth({"scale", "deploy/web", "--replicas", "3"}).out, "deployment.apps/web scaled\n");
  std::string changed = text;
  changed.replace(changed.find("a: '1'"), 6, "b: '2'");
  EXPECT_EQ(berth({"apply", "-f", file("d.yaml", changed)}).out,
            "deployment.apps/web configured\n");
  const SharedJson web = get(kDeployments, "web");
  EXPECT_EQ(objects::find_int(*web, {"spec", "replicas"}), 3);
  EXPECT_EQ(objects::find(*web, {"metadata", "labels", "a"}), nullptr);
  EXPECT_EQ(objects::find_string(*web, {"metadata", "labels", "b"}), "2");
  ASSERT_TRUE(eventually([&] { return status(kDeployments, "web", "availableReplicas") == 3; }));
  const Ran logs = berth({"logs", "deploy/web"});
  EXPECT_EQ(std::count(logs.out.begin(), logs.out.end(), '\n'), 3) << logs.err;
  EXPECT_THAT(logs.out, HasSubstr("] hello from web-"));
  const Ran described = berth({"describe", "deploy/web"});
  EXPECT_THAT(described.out, HasSubstr("Name:             web"));
  EXPECT_THAT(described.out, HasSubstr("ScalingReplicaSet")) << described.err;
  EXPECT_THAT(described.out, HasSubstr("MinimumReplicasAvailable"));
}

TEST_F(CliTest, ExplainsWhatWaits) {
  node_.reset();
  ASSERT_EQ(berth({"apply", "-f", file("p.yaml", pod("web-0"))}).code, 0);
  const Ran ran = berth({"explain", "pod", "web-0"});
  EXPECT_EQ(ran.out,
            "pod web-0: waiting\n"
            "  because     no GPU is free\n"
            "  queue       default, next in line\n")
      << ran.err;
  EXPECT_THAT(berth({"describe", "pod/web-0"}).out, HasSubstr("no GPU is free"));
  const Ran status = berth({"status"});
  EXPECT_EQ(status.code, 0) << status.err;
  EXPECT_THAT(status.out, HasSubstr("default/web-0"));
}

TEST_F(CliTest, QueuesAreMadeAndShown) {
  EXPECT_EQ(berth({"queue", "create", "lab", "--guarantee", "nvidia.com/gpu=4"}).out,
            "queue.berth.dev/lab created\n");
  EXPECT_EQ(berth({"queue", "create", "alice", "--parent", "lab"}).code, 0);
  EXPECT_EQ(berth({"queue", "set", "alice", "--weight", "3"}).out,
            "queue.berth.dev/alice configured\n");
  const Ran tree = berth({"queue", "tree"});
  EXPECT_THAT(tree.out, HasSubstr("lab       nvidia.com/gpu=4"));
  EXPECT_THAT(tree.out, HasSubstr("  alice"));
  EXPECT_EQ(berth({"queue", "create", "lab"}).code, 1);
  EXPECT_EQ(berth({"queue", "create", "x", "--limit", "cpu"}).code, 2);
  EXPECT_EQ(berth({"queue", "set", "lab", "--weight", "-3"}).err,
            "--weight: must be a number above 0, not -3");
}

TEST_F(CliTest, AUserGetsWhatTheyNeedAndNoMore) {
  const std::string config = (folder_.path() / "alice.kubeconfig").string();
  Ran ran = berth({"user", "add", "alice", "--guarantee", "cpu=2", "-o", config, "--no-local"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, config + "\n");
  struct stat file{};
  ASSERT_EQ(::stat(config.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777U, 0600U);
  const std::string manifest = this->file("p.yaml", pod("mine"));
  EXPECT_EQ(berth({"apply", "-f", manifest, "--kubeconfig", config}).out, "pod/mine created\n");
  EXPECT_EQ(berth({"get", "pods", "--kubeconfig", config, "-o", "name"}).out, "pod/mine\n");
  ran = berth({"get", "pods", "-n", "default", "--kubeconfig", config});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("forbidden"));
  EXPECT_EQ(berth({"user", "add", "Not_A_Name"}).code, 2);
}

TEST_F(CliTest, RunPassesOutputAndExitCodeOn) {
  node_.reset();
  const Ran ran = run_with_status(
      {"run", "--cpus", "1", "--", "python", "train.py", "--steps", "3"},
      R"({"phase":"Failed",)" +
          container_status(R"({"terminated":{"exitCode":7,"reason":"Error"}})") + "}");
  EXPECT_EQ(ran.code, 7) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("hello from train-"));
}

TEST_F(CliTest, RunEndsWhenTheNodeWillNeverStartIt) {
  node_.reset();
  for (const char* reason : {"VolumeForbidden", "InvalidImageName", "ImagePullBackOff"}) {
    const Ran ran = run_with_status(
        {"run", "--", "true"},
        R"({"phase":"Pending",)" +
            container_status(fmt::format(
                R"({{"waiting":{{"reason":"{}","message":"it is not allowed"}}}})", reason)) +
            "}");
    EXPECT_EQ(ran.code, 1) << reason;
    EXPECT_THAT(ran.err, HasSubstr("cannot start: it is not allowed"));
    EXPECT_TRUE(list(kPods).empty()) << "it is deleted";
  }
}

TEST_F(CliTest, RunEndsWhenTheSchedulerWillNeverStartIt) {
  node_.reset();
  for (const char* code : {"Never", "QueueMissing", "Refused"}) {
    reasons_.code = code;
    const Ran ran = berth({"run", "--", "true"});
    EXPECT_EQ(ran.code, 1) << code;
    EXPECT_THAT(ran.err, HasSubstr("cannot start: no GPU is free"));
    EXPECT_TRUE(list(kPods).empty()) << "it is deleted";
  }
}

TEST_F(CliTest, RunSaysWhatCouldNotBeStarted) {
  node_.reset();
  const auto start_error = [&](const std::string& message) {
    return run_with_status(
        {"run", "--", "nosuch"},
        R"({"phase":"Failed",)" +
            container_status(fmt::format(
                R"({{"terminated":{{"exitCode":128,"reason":"StartError","message":"{}"}}}})",
                message)) +
            "}");
  };
  Ran ran = start_error("executable file not found in $PATH");
  EXPECT_EQ(ran.code, 127);
  EXPECT_THAT(ran.err, HasSubstr(": executable file not found in $PATH\n"));
  EXPECT_EQ(start_error("exec /x: permission denied").code, 126);
  EXPECT_EQ(start_error("exec /x: no such file or directory").code, 127);
  EXPECT_EQ(start_error("the cgroup is gone").code, 1);
}

TEST_F(CliTest, RunWarnsThatInputIsNotPassedOn) {
  const int before = ::dup(STDIN_FILENO);
  const auto warns = [&](const std::string& path) {
    const int input = ::open(path.c_str(), O_RDONLY);
    ::dup2(input, STDIN_FILENO);
    ::close(input);
    return berth({"run", "-d", "--", "cat"}).err.find("standard input is not passed on") !=
           std::string::npos;
  };
  EXPECT_TRUE(warns(file("input", "hello")));
  EXPECT_FALSE(warns("/dev/null"));
  ::dup2(before, STDIN_FILENO);
  ::close(before);
}

TEST_F(CliTest, RunIsStoppedByASignal) {
  node_.reset();
  std::thread interrupts([&] {
    eventually([&] { return !list(kPods).empty(); });
    ::kill(::getpid(), SIGINT);
  });
  const Ran ran = berth({"run", "--", "sleep", "1000"});
  interrupts.join();
  EXPECT_EQ(ran.code, 130);
  EXPECT_THAT(ran.err, HasSubstr("stopping sleep-"));
  EXPECT_TRUE(list(kPods).empty());
}

TEST_F(CliTest, SaysItsVersions) {
  EXPECT_THAT(berth({"version"}).out, HasSubstr("server v1."));
  EXPECT_THAT(berth({"version", "--client"}).out, Not(HasSubstr("server")));
}

}  // namespace
}  // namespace berth::cli
