#include <future>

#include "client/https_client.h"
#include "tests/unit/apiserver/test_server.h"

namespace berth::apiserver {
namespace {

using objects::find;
using objects::find_string;

class HttpTest : public ServerTest {
 protected:
  void SetUp() override {
    start();
    connection_ = *client::Connection::from_kubeconfig(server_->kubeconfig());
    connect(connection_.token);
  }
  void connect(const std::string& token) {
    client::Connection connection = connection_;
    connection.token = token;
    http_ = *client::HttpsClient::create(connection);
  }

  struct Reply {
    int status = 0;
    platform::HttpHeaders headers;
    std::string text;
    Json body;
  };
  Reply send(std::string method, std::string target, std::string body = {},
             std::string content_type = "application/json", std::string accept = {}) {
    platform::HttpRequest request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.body = std::move(body);
    if (!request.body.empty()) request.headers.add("Content-Type", std::move(content_type));
    if (!accept.empty()) request.headers.add("Accept", std::move(accept));
    std::promise<Result<platform::HttpResponse>> promise;
    http_->raw(std::move(request), [&](auto answer) { promise.set_value(std::move(answer)); });
    const auto answer = promise.get_future().get();
    EXPECT_TRUE(answer) << answer.error().to_string();
    if (!answer) return {};
    boost::system::error_code ignored;
    return {answer->status, answer->headers, answer->body,
            boost::json::parse(answer->body, ignored)};
  }
  std::string add_user(const std::string& name) {
    const Reply reply = send("POST", "/berth/v1/users", R"({"name":")" + name + R"("})");
    EXPECT_EQ(reply.status, 200) << reply.text;
    return std::string(find_string(reply.body, {"token"}));
  }

  client::Connection connection_;
  std::unique_ptr<client::HttpsClient> http_;
};

constexpr const char* kConfigMapsPath = "/api/v1/namespaces/default/configmaps";

TEST_F(HttpTest, KnowsWhoAsks) {
  connect("");
  EXPECT_EQ(send("GET", "/api").status, 401);
  connect("wrong");
  EXPECT_EQ(send("GET", "/api/v1/pods").status, 401);
  EXPECT_EQ(send("GET", "/healthz").text, "ok");
}

TEST_F(HttpTest, AUserMayDoWhatARoleAllows) {
  const std::string token = add_user("alice");
  ASSERT_TRUE(api_->create({kNamespaces, "", "", ""}, json(R"({"metadata":{"name":"alice"}})")));
  ASSERT_TRUE(api_->create({{"rbac.authorization.k8s.io", "v1", "rolebindings"}, "alice", "", ""},
                           json(R"({"metadata":{"name":"alice"},
               "roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"edit"},
               "subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"alice"}]})")));
  connect(token);
  EXPECT_EQ(send("GET", "/api/v1/nodes").status, 200);
  EXPECT_EQ(send("GET", "/api/v1/namespaces/alice/pods").status, 200);
  const Reply refused = send("GET", "/api/v1/namespaces/default/pods");
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(find_string(refused.body, {"reason"}), "Forbidden");
  EXPECT_EQ(send("GET", "/api/v1/secrets").status, 403);
  EXPECT_EQ(send("GET", "/metrics").status, 403);
  EXPECT_EQ(send("GET", "/berth/v1/users").status, 403);
  const Reply review = send(
      "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
      R"({"spec":{"resourceAttributes":{"verb":"create","resource":"pods","namespace":"alice"}}})");
  EXPECT_EQ(find(review.body, {"status", "allowed"})->as_bool(), true);
}

TEST_F(HttpTest, AUserDoesNotTakeTheMachineThroughAPod) {
  const std::string token = add_user("bob");
  ASSERT_TRUE(api_->create({{"rbac.authorization.k8s.io", "v1", "rolebindings"}, "default", "", ""},
                           json(R"({"metadata":{"name":"bob"},
               "roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"edit"},
               "subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"bob"}]})")));
  connect(token);
  const auto create = [&](const std::string& spec) {
    return send("POST", "/api/v1/namespaces/default/pods",
                R"({"metadata":{"generateName":"p-"},"spec":)" + spec + "}")
        .status;
  };
  EXPECT_EQ(create(R"({"containers":[{"name":"a","image":"host"}]})"), 201);
  EXPECT_EQ(create(R"({"hostNetwork":true,"containers":[{"name":"a","image":"host"}]})"), 403);
  EXPECT_EQ(
      create(
          R"({"containers":[{"name":"a","image":"host","securityContext":{"privileged":true}}]})"),
      403);
  EXPECT_EQ(create(R"({"containers":[{"name":"a","image":"host"}],
                       "volumes":[{"name":"v","hostPath":{"path":"/etc"}}]})"),
            403);
  // Nor through what makes pods.
  EXPECT_EQ(send("POST", "/apis/batch/v1/namespaces/default/jobs",
                 R"({"metadata":{"name":"j"},"spec":{"template":{"spec":{"restartPolicy":"Never",
                     "hostPID":true,"containers":[{"name":"a","image":"host"}]}}}})")
                .status,
            403);
}

TEST_F(HttpTest, AUserUsesTheQueuesOfTheNamespace) {
  const std::string token = add_user("bob");
  ASSERT_TRUE(api_->create({{"rbac.authorization.k8s.io", "v1", "rolebindings"}, "default", "", ""},
                           json(R"({"metadata":{"name":"bob"},
               "roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"edit"},
               "subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"bob"}]})")));
  const client::Resource queues{"berth.dev", "v1alpha1", "queues"};
  for (const std::string queue :
       {R"("team"},"spec":{}})", R"("part"},"spec":{"parent":"team"}})", R"("carol"},"spec":{}})"})
    ASSERT_TRUE(api_->create({queues, "", "", ""}, json(R"({"metadata":{"name":)" + queue)));
  const auto annotate = [&](const std::string& metadata) {
    ASSERT_TRUE(api_->patch({kNamespaces, "", "default", ""}, client::PatchType::kMerge,
                            json(R"({"metadata":)" + metadata + "}")));
  };
  annotate(R"({"labels":{"berth.dev/queue":"team"}})");
  connect(token);
  const auto pod_in = [&](const std::string& queue, const std::string& priority = "") {
    const Reply reply = send("POST", "/api/v1/namespaces/default/pods",
                             R"({"metadata":{"generateName":"p-","labels":{"berth.dev/queue":")" +
                                 queue + R"("}},"spec":{"priorityClassName":")" + priority +
                                 R"(","containers":[{"name":"a","image":"host"}]}})");
    return reply.status == 201 ? std::string(find_string(reply.body, {"metadata", "name"}))
                               : std::string(find_string(reply.body, {"message"}));
  };
  const std::string own = pod_in("team");
  EXPECT_THAT(own, testing::StartsWith("p-"));
  EXPECT_THAT(pod_in("part"), testing::StartsWith("p-")) << "below the own";
  EXPECT_THAT(pod_in("default"), testing::StartsWith("p-"));
  EXPECT_THAT(pod_in("carol"), testing::HasSubstr("the queue carol is not one that the namespace "
                                                  "default may use (default, team)"));
  EXPECT_THAT(pod_in("team", "system-node-critical"), testing::HasSubstr("priorityClassName"));
  // Nor by a change, nor through what makes pods or replicas.
  EXPECT_EQ(
      send("PATCH", "/api/v1/namespaces/default/pods/" + own,
           R"({"metadata":{"labels":{"berth.dev/queue":"carol"}}})", "application/merge-patch+json")
          .status,
      403);
  EXPECT_EQ(send("POST", "/apis/batch/v1/namespaces/default/jobs",
                 R"({"metadata":{"name":"j"},"spec":{"template":{"metadata":{"labels":
                     {"kueue.x-k8s.io/queue-name":"carol"}},"spec":{"restartPolicy":"Never",
                     "containers":[{"name":"a","image":"host"}]}}}})")
                .status,
            403);
  annotate(R"({"annotations":{"berth.dev/queues":"other, carol"}})");
  EXPECT_THAT(pod_in("carol"), testing::StartsWith("p-"));
}

TEST_F(HttpTest, SaysWhatIsWrongWithARequest) {
  EXPECT_EQ(send("POST", kConfigMapsPath, "{").status, 400);
  EXPECT_EQ(send("POST", kConfigMapsPath, "a: b", "application/yaml").status, 415);
  EXPECT_EQ(send("POST", kConfigMapsPath, R"({"kind":"Pod"})").status, 400);
  EXPECT_EQ(send("GET", "/api/v1/namespaces/default/pods?limit=%zz").status, 400);
  EXPECT_EQ(send("GET", "/api/v1/nothings").status, 404);
  EXPECT_EQ(send("GET", "/apis/none.dev/v1/nothings").status, 404);
  EXPECT_EQ(send("DELETE", "/version").status, 404);
  EXPECT_EQ(send("PUT", kConfigMapsPath, "{}").status, 405);
  EXPECT_EQ(send("GET", kConfigMapsPath, "", "", "application/vnd.kubernetes.protobuf").status,
            406);
  EXPECT_EQ(send("POST", std::string(kConfigMapsPath) + "?dryRun=Some", R"({})").status, 400);
  EXPECT_EQ(send("GET", std::string(kConfigMapsPath) + "?continue=rubbish").status, 400);
  const Reply invalid = send("POST", "/api/v1/namespaces/default/pods",
                             R"({"metadata":{"name":"p"},"spec":{"containers":[]}})");
  EXPECT_EQ(invalid.status, 422);
  EXPECT_EQ(find_string(invalid.body, {"reason"}), "Invalid");
  EXPECT_FALSE(objects::find_array(invalid.body, {"details", "causes"}).empty());
}

TEST_F(HttpTest, UnknownFieldsAreRefusedOrWarnedOf) {
  const std::string body = R"({"metadata":{"name":"a"},"datta":{}})";
  const std::string path = kConfigMapsPath;
  EXPECT_EQ(send("POST", path + "?fieldValidation=Strict", body).status, 400);
  const Reply warned = send("POST", path + "?fieldValidation=Warn&dryRun=All", body);
  EXPECT_EQ(warned.status, 201);
  EXPECT_THAT(std::string(warned.headers.get("Warning")), testing::HasSubstr("datta"));
  const Reply ignored = send("POST", path + "?fieldValidation=Ignore", body);
  EXPECT_EQ(ignored.status, 201);
  EXPECT_FALSE(ignored.headers.has("Warning"));
}

TEST_F(HttpTest, AWatchWithoutAPlaceToStartShowsTheStateAndEndsInTime) {
  ASSERT_TRUE(api_->create({kConfigMaps, "default", "", ""}, config_map("a")));
  const Reply reply = send("GET", std::string(kConfigMapsPath) + "?watch=1&timeoutSeconds=1");
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.text, testing::StartsWith(R"({"type":"ADDED","object":{)"));
}

TEST_F(HttpTest, ShowsTablesAndMetadata) {
  ASSERT_TRUE(api_->create({kPods, "default", "", ""}, pod("p")));
  const Reply table = send("GET", "/api/v1/pods", "", "",
                           "application/json;as=Table;v=v1;g=meta.k8s.io,application/json");
  EXPECT_EQ(find_string(table.body, {"kind"}), "Table");
  EXPECT_EQ(objects::find_array(table.body, {"rows"}).size(), 1U);
  const Reply partial = send("GET", "/api/v1/namespaces/default/pods/p", "", "",
                             "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io");
  EXPECT_EQ(find_string(partial.body, {"kind"}), "PartialObjectMetadata");
  EXPECT_EQ(find(partial.body, {"spec"}), nullptr);
}

class FakeLogs final : public LogSource {
 public:
  class Stream final : public LogStream {
   public:
    explicit Stream(std::thread writer) : writer_(std::move(writer)) {}
    ~Stream() override { writer_.join(); }
    void resume() override {}

   private:
    std::thread writer_;
  };
  Result<std::unique_ptr<LogStream>> open(LogRequest request,
                                          std::shared_ptr<LogSink> sink) override {
    if (request.previous) return fail(ErrorCode::kNotFound, "no earlier run");
    return std::make_unique<Stream>(std::thread([sink, name = request.container] {
      sink->write("hello from " + name + "\n");
      sink->end({});
    }));
  }
};

class FakeUsage final : public UsageSource {
 public:
  std::vector<PodUsage> pods() override {
    return {{"default",
             "p",
             Time{},
             Duration::seconds(10),
             {{"main", Quantity::from_milli(250), Quantity::from_bytes(1 << 20)}}}};
  }
  std::vector<NodeUsage> nodes() override { return {}; }
};

TEST_F(HttpTest, AsksTheProviders) {
  ASSERT_TRUE(api_->create({kPods, "default", "", ""}, pod("p")));
  const std::string log = "/api/v1/namespaces/default/pods/p/log";
  const std::string usage = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods";
  EXPECT_EQ(send("GET", log).status, 503);
  EXPECT_EQ(send("GET", usage).status, 503);
  FakeLogs logs;
  FakeUsage used;
  Providers providers;
  providers.logs = &logs;
  providers.usage = &used;
  server_->provide(providers);
  EXPECT_EQ(send("GET", log).text, "hello from main\n");
  EXPECT_EQ(send("GET", log + "?previous=true").status, 404);
  EXPECT_EQ(send("GET", log + "?container=other").status, 400);
  const Reply reply = send("GET", usage);
  const JsonArray& items = objects::find_array(reply.body, {"items"});
  ASSERT_EQ(items.size(), 1U) << reply.text;
  EXPECT_EQ(find_string(items[0], {"kind"}), "PodMetrics");
  server_->provide({});
}

TEST_F(HttpTest, TakesDemandOfWhoMayTellIt) {
  struct Sink final : DemandSink {
    Result<> take(const Json& reports) override {
      if (find_string(reports, {"from"}) != "gate") return fail(ErrorCode::kInvalid, "whose?");
      ++taken;
      return {};
    }
    int taken = 0;
  };
  constexpr const char* kPath = "/berth/v1/demand";
  const std::string good = R"({"from":"gate"})";
  EXPECT_EQ(send("POST", kPath, good).status, 503);
  Sink sink;
  server_->provide({.demand = &sink});
  EXPECT_EQ(send("POST", kPath, good).status, 200);
  EXPECT_EQ(send("POST", kPath, R"({"from":"nobody"})").status, 400);
  EXPECT_EQ(send("POST", kPath, "{").status, 400);
  EXPECT_EQ(send("GET", kPath).status, 404);
  const std::string token = add_user("gate");
  ASSERT_EQ(send("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
                 R"({"metadata":{"name":"gate"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io",
                     "kind":"ClusterRole","name":"gateway"},"subjects":[{"kind":"User","name":"gate",
                     "apiGroup":"rbac.authorization.k8s.io"}]})")
                .status,
            201);
  const std::string other = add_user("other");
  connect(token);
  EXPECT_EQ(send("POST", kPath, good).status, 200);
  EXPECT_EQ(send("GET", "/api/v1/services").status, 200);
  EXPECT_EQ(send("GET", "/api/v1/pods").status, 403);
  connect(other);
  EXPECT_EQ(send("POST", kPath, good).status, 403);
  EXPECT_EQ(sink.taken, 2);
  server_->provide({});
}

TEST_F(HttpTest, EventsAreShownInBothVersions) {
  const Reply made = send(
      "POST", "/apis/events.k8s.io/v1/namespaces/default/events",
      R"({"metadata":{"name":"e"},"eventTime":"2026-11-23T10:00:00.000000Z","reportingController":"c",
          "reportingInstance":"i","action":"Bind","reason":"Because","type":"Normal","note":"hi",
          "regarding":{"kind":"Pod","namespace":"default","name":"p"}})");
  ASSERT_EQ(made.status, 201) << made.text;
  EXPECT_EQ(find_string(made.body, {"note"}), "hi");
  const Reply old = send("GET", "/api/v1/namespaces/default/events/e");
  EXPECT_EQ(find_string(old.body, {"message"}), "hi");
  EXPECT_EQ(find_string(old.body, {"involvedObject", "name"}), "p");
}

}  // namespace
}  // namespace berth::apiserver
