#include "node/network/hosts_file.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace berth::node {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

SharedJson json(std::string_view text) {
  return std::make_shared<const Json>(boost::json::parse({text.data(), text.size()}));
}

SharedJson service(const std::string& ns, const std::string& name, const std::string& ip) {
  return json(R"({"metadata":{"namespace":")" + ns + R"(","name":")" + name +
              R"("},"spec":{"clusterIP":")" + ip + R"("}})");
}

SharedJson pod(const std::string& name, const std::string& ip, const std::string& spec = "{}",
               const std::string& phase = "Running") {
  return json(R"({"metadata":{"namespace":"default","name":")" + name + R"("},"spec":)" + spec +
              R"(,"status":{"phase":")" + phase + R"(","podIP":")" + ip + R"("}})");
}

TEST(HostNames, ServicesByEveryEnding) {
  const HostNames names(std::vector{service("default", "web", "10.96.0.1")}, {}, {});
  EXPECT_EQ(names.text("default"),
            "10.96.0.1 web web.default web.default.svc web.default.svc.cluster.local\n");
  EXPECT_EQ(names.text("other"),
            "10.96.0.1 web.default web.default.svc web.default.svc.cluster.local\n");
}

TEST(HostNames, HeadlessServicesListEveryReadyAddress) {
  const auto slice = json(R"({"metadata":{"namespace":"default",
      "labels":{"kubernetes.io/service-name":"workers"}},"endpoints":[
      {"addresses":["10.1.0.2"],"conditions":{"ready":true}},
      {"addresses":["10.1.0.3"],"conditions":{"ready":false}},
      {"addresses":["10.1.0.4"]}]})");
  const HostNames names(std::vector{service("default", "workers", "None")}, std::vector{slice}, {});
  const std::string text = names.text("default");
  EXPECT_THAT(text, HasSubstr("10.1.0.2 workers "));
  EXPECT_THAT(text, HasSubstr("10.1.0.4 workers "));
  EXPECT_THAT(text, Not(HasSubstr("10.1.0.3")));
}

TEST(HostNames, MembersOfAnIndexedJobByTheirHostname) {
  const HostNames names(
      {}, {},
      std::vector{pod("train-0-abcde", "10.1.0.2", R"({"hostname":"train-0","subdomain":"ring"})"),
                  pod("train-1-fghij", "10.1.0.3", R"({"hostname":"train-1"})")});
  const std::string text = names.text("default");
  EXPECT_THAT(text, HasSubstr("10.1.0.2 train-0-abcde train-0 train-0.ring "
                              "train-0-abcde.default train-0.ring.default "
                              "train-0.ring.default.svc "));
  EXPECT_THAT(text, HasSubstr("10.1.0.3 train-1-fghij train-1 train-1-fghij.default\n"));
}

TEST(HostNames, LeavesOutWhoIsGone) {
  const auto leaving = json(R"({"metadata":{"namespace":"default","name":"x",
      "deletionTimestamp":"2026-01-01T00:00:00Z"},"status":{"phase":"Running","podIP":"10.1.0.9"}})");
  const HostNames names({}, {},
                        std::vector{pod("a", "10.1.0.2", "{}", "Succeeded"),
                                    pod("b", "10.1.0.3", "{}", "Failed"), pod("c", ""), leaving});
  EXPECT_EQ(names.text("default"), "");
}

TEST(HostNames, AServiceBeatsAPodOfTheSameName) {
  const HostNames names(std::vector{service("default", "web", "10.96.0.1")}, {},
                        std::vector{pod("web", "10.1.0.2")});
  EXPECT_THAT(names.text("default"), Not(HasSubstr("10.1.0.2")));
}

TEST(HostNames, NothingInAnObjectBreaksOut) {
  const HostNames names(std::vector{service("default", R"(a\n6.6.6.6 bank)", "10.96.0.1")}, {},
                        std::vector{pod("p", R"(10.1.0.2\n6.6.6.6 bank)"),
                                    pod("q", "10.1.0.3", R"({"hostname":"h\n6.6.6.6 bank"})")});
  EXPECT_EQ(names.text("default"), "");
}

TEST(OwnHostLines, ItselfAndItsAliases) {
  const auto object = pod("p", "10.1.0.2",
                          R"({"hostname":"h","subdomain":"s","hostAliases":[
                              {"ip":"1.2.3.4","hostnames":["x","y y","z"]},{"ip":"bad ip"}]})");
  const std::string text = own_host_lines(object.get(), "default", "p", "10.1.0.2");
  EXPECT_THAT(text, HasSubstr("127.0.0.1 localhost\n"));
  EXPECT_THAT(text, HasSubstr("10.1.0.2 h.s.default.svc.cluster.local h\n"));
  EXPECT_THAT(text, HasSubstr("1.2.3.4 x z\n"));
  EXPECT_THAT(text, Not(HasSubstr("bad")));
  EXPECT_THAT(own_host_lines(nullptr, "default", "p", "10.1.0.2"), HasSubstr("10.1.0.2 p\n"));
}

TEST(HostsFiles, ChangesTheContentAndNeverTheFile) {
  std::string pattern = (std::filesystem::temp_directory_path() / "berth-hosts-XXXXXX").string();
  const std::string directory = ::mkdtemp(pattern.data());
  const std::string path = directory + "/hosts";
  const auto inode = [&] {
    struct stat status{};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    return status.st_ino;
  };
  const auto read = [&] {
    std::ifstream file(path);
    return std::string{std::istreambuf_iterator<char>(file), {}};
  };
  HostsFiles files;
  ASSERT_TRUE(files.put("u", path, "default", "own\n"));
  const auto before = inode();
  EXPECT_EQ(read(), "own\n");
  ASSERT_TRUE(files.update(HostNames(std::vector{service("default", "web", "10.96.0.1")}, {}, {})));
  EXPECT_THAT(read(), ::testing::StartsWith("own\n10.96.0.1 web"));
  ASSERT_TRUE(files.update(HostNames()));
  EXPECT_EQ(read(), "own\n") << "shorter than before";
  EXPECT_EQ(inode(), before);
  std::ofstream(path) << "not written again";
  ASSERT_TRUE(files.put("u", path, "default", "own\n"));
  EXPECT_EQ(read(), "not written again") << "nothing of it changed";
  ASSERT_TRUE(files.put("u", path, "default", "own\nmore\n"));
  EXPECT_EQ(read(), "own\nmore\n");
  ASSERT_TRUE(files.put("u", path, "default", "own\n"));
  files.remove("u");
  ASSERT_TRUE(files.update(HostNames(std::vector{service("default", "web", "10.96.0.1")}, {}, {})));
  EXPECT_EQ(read(), "own\n");
  EXPECT_FALSE(files.put("v", directory + "/no/such/folder", "default", ""));
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace berth::node
