#include "objects/names.h"

#include <gtest/gtest.h>

namespace berth::objects {
namespace {

using Check = std::optional<std::string> (*)(std::string_view);

void expect_all(Check check, std::initializer_list<std::string> good,
                std::initializer_list<std::string> bad) {
  for (const std::string& text : good) EXPECT_FALSE(check(text)) << text << ": " << *check(text);
  for (const std::string& text : bad) EXPECT_TRUE(check(text)) << text;
}

TEST(NamesTest, FollowKubernetesRules) {
  expect_all(check_dns_label, {"a", "a-1", "1", std::string(63, 'a')},
             {"", "-a", "a-", "A", "a.b", "a_b", std::string(64, 'a')});
  expect_all(check_dns_label_1035, {"a", "a-1"}, {"1a", ""});
  expect_all(check_dns_subdomain, {"a.b-c.d", "1.2"},
             {"", "a..b", ".a", "a.", "A.b", "a/b", std::string(254, 'a')});
  expect_all(check_path_segment, {"system:node", "A b"}, {".", "..", "a/b", "a%b"});
  expect_all(check_qualified_name, {"a", "A_b.c", "example.com/x", "nvidia.com/gpu"},
             {"", "/a", "a/", "a/b/c", "Ex.com/a", "-a", std::string(64, 'a')});
  expect_all(check_label_value, {"", "a", "A_b.1"}, {"a b", "-", "a/b", std::string(64, 'a')});
  expect_all(check_port_name, {"http", "a-1"},
             {"80", "a--b", "-a", "a_b", std::string(16, 'a'), ""});
  expect_all(check_env_name, {"A", "a.b-c", "1 x"}, {"", "a=b", "a\n"});
  expect_all(check_config_key, {"a", "a.b_C-1", ".x"}, {"", "..", "..a", ".", "a/b"});
  expect_all(check_ip, {"10.0.0.1", "::1"}, {"", "10.0.0", "10.0.0.256", "host"});
}

TEST(NamesTest, SuggestsANameThatIsGood) {
  EXPECT_EQ(suggest_dns_name("My_App.2"), "my-app-2");
  EXPECT_EQ(suggest_dns_name("__"), "");
  for (const char* name : {"My App!", "-x-", "ÄÖ a", "a..b"})
    EXPECT_FALSE(check_dns_subdomain(suggest_dns_name(name))) << name;
}

}  // namespace
}  // namespace berth::objects
