#include "node/images/registry_auth.h"

#include <gtest/gtest.h>

namespace berth::node {
namespace {

TEST(MergeAuths, NothingReadableIsNothing) {
  EXPECT_EQ(merge_auths({}), "");
  EXPECT_EQ(merge_auths({"", "[]", "{\"auths\":{\"r\":{}}}", "{\"auths\":{\"r\":7}}"}), "");
}

TEST(MergeAuths, TheEarlierEntryCountsAndBothFormsAreRead) {
  EXPECT_EQ(merge_auths({R"({"auths":{"a:5000":{"auth":"b25l"}},"HttpHeaders":{}})",
                         R"({"a:5000":{"auth":"dHdv"},"b":{"identitytoken":"t"}})"}),
            R"({"auths":{"a:5000":{"auth":"b25l"},"b":{"identitytoken":"t"}}})");
}

TEST(MergeAuths, UserAndPasswordBecomeWhatSkopeoReads) {
  EXPECT_EQ(merge_auths({R"({"auths":{"r":{"username":"u","password":"p","email":"e"}}})"}),
            R"({"auths":{"r":{"auth":"dTpw"}}})");
}

}  // namespace
}  // namespace berth::node
