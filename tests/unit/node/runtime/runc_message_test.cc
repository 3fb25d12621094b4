#include <gtest/gtest.h>

#include "node/runtime/container_runtime.h"

namespace berth::node {
namespace {

TEST(RuncMessage, IsWhatWentWrongAlone) {
  EXPECT_EQ(
      runc_message("time=\"2026-11-23T10:00:00Z\" level=error msg=\"runc create failed: unable to "
                   "start container process: exec: \\\"nosuch\\\": executable file not found in "
                   "$PATH\"\n"),
      "exec: \"nosuch\": executable file not found in $PATH");
}

TEST(RuncMessage, OfSeveralIsTheLast) {
  EXPECT_EQ(runc_message("time=\"1\" level=warning msg=\"beware\"\n"
                         "time=\"2\" level=error msg=\"a \\\\ b\\nc\"\n"),
            "a \\ b c");
}

TEST(RuncMessage, WithoutALogIsTheTextItself) {
  EXPECT_EQ(runc_message("container create failed: no reason\n"), "no reason");
  EXPECT_EQ(runc_message("level=error msg=\"cut off\\"), "cut off");
  EXPECT_EQ(runc_message(""), "");
}

}  // namespace
}  // namespace berth::node
