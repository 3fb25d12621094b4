#include "control/replay.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/control.h"

namespace berth::control {
namespace {

using testing::HasSubstr;

/// Keeps the lines of the newest segment.
class Lines : public JournalSink {
 public:
  void begin_segment() override { text.clear(), ++segments; }
  void append(std::string_view line) override { text += std::string(line) + "\n"; }

  std::string text;
  int segments = 0;
};

core::NodeUpsert node(const std::string& name) {
  core::NodeUpsert node{
      .name = name,
      .capacity = {
          .cpu_milli = 8000, .memory_bytes = int64_t{64} << 30, .ephemeral_bytes = 0, .pods = 110}};
  for (int i = 0; i < 4; ++i)
    node.devices.push_back({.id = "gpu-" + std::to_string(i),
                            .resource = "nvidia.com/gpu",
                            .model = "H100",
                            .memory_bytes = int64_t{80} << 30});
  node.labels = {{"rack", "a"}, {"empty", ""}};
  node.taints = {{"dedicated", "x", core::TaintEffect::kPreferNoSchedule}};
  return node;
}

core::TaskUpsert task(const std::string& name, uint16_t gpus, int32_t priority = 0) {
  core::TaskUpsert task{.name = name, .ns = "default", .queue = "q"};
  task.priority = priority;
  task.shape.request = {.cpu_milli = 100, .memory_bytes = 1, .ephemeral_bytes = 0, .pods = 1};
  task.shape.devices.resource = "nvidia.com/gpu";
  task.shape.devices.count = gpus;
  task.shape.filter.selector.push_back({"rack", core::Operator::kIn, {"a"}});
  task.shape.filter.tolerations.push_back({.key = "dedicated", .exists = true});
  return task;
}

Time at(int64_t seconds) {
  return Time{1'000'000'000 * (1'000'000 + seconds)};
}

class ReplayTest : public testing::Test {
 protected:
  std::unique_ptr<Control> control() {
    auto made = Control::make({.seed = 7, .build = "test", .journal = &lines});
    EXPECT_TRUE(made);
    return std::move(*made);
  }
  Result<ReplayReport> replayed() {
    std::istringstream in(lines.text);
    return replay(in);
  }
  /// Some of everything: binds, a preemption, a claim that is taken up, a reservation.
  void live(Control& c) {
    c.add(core::QueueUpsert{.name = "q"});
    c.add(node("n0"));
    c.add(task("low", 4, 1));
    c.cycle(at(1));
    c.add(core::BindDone{"low", true});
    c.cycle(at(2));
    c.add(task("high", 2, 5));
    c.cycle(at(100));
    c.add(core::TaskRemove{"low"});
    c.add(task("huge", 9));
    c.cycle(at(110));
    c.add(task("big", 4));
    c.cycle(at(111));
  }

  Lines lines;
};

TEST_F(ReplayTest, GivesTheSameDecisions) {
  auto c = control();
  live(*c);
  const auto report = replayed();
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->plans, 5u);
  EXPECT_EQ(report->build, "test");
  EXPECT_FALSE(report->first_difference) << report->first_difference->recorded << "\n"
                                         << report->first_difference->replayed;
  EXPECT_EQ(report->final_hash, c->state().hash());
}

TEST_F(ReplayTest, ShowsTheFirstDifference) {
  auto c = control();
  live(*c);
  const size_t evict = lines.text.find("\"evict\":{\"task\":\"low\"");
  ASSERT_NE(evict, std::string::npos);
  lines.text.replace(lines.text.find("low", evict), 3, "own");
  const auto report = replayed();
  ASSERT_TRUE(report) << report.error().to_string();
  ASSERT_TRUE(report->first_difference);
  EXPECT_EQ(report->first_difference->plan, 3u);
  EXPECT_THAT(report->first_difference->recorded, HasSubstr("evict.task: \"own\""));
  EXPECT_THAT(report->first_difference->replayed, HasSubstr("evict.task: \"low\""));
}

TEST_F(ReplayTest, SaysWhereAFileIsNotAJournal) {
  lines.text = "{\"segment\":{\"seed\":1}}\nhello\n{}\n";
  auto report = replayed();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().where, "line 2");
  lines.text = "{\"plan\":{}}\n";
  EXPECT_FALSE(replayed());
  lines.text = "";
  EXPECT_FALSE(replayed());
  lines.text = "{\"segment\":{\"seed\":1}}\n{\"events\":[{\"tock\":{}}]}\n";
  report = replayed();
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().what, HasSubstr("tock"));
}

TEST_F(ReplayTest, ALineThatWasCutOffIsNotAnError) {
  auto c = control();
  live(*c);
  lines.text.resize(lines.text.size() - 20);
  const auto report = replayed();
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->plans, 4u);
}

TEST(Control, RefusesAPlacementPolicyThatThereIsNot) {
  core::PolicySet policy;
  policy.profile = "best";
  const auto made = Control::make({.policy = policy});
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().what, HasSubstr("best"));
  EXPECT_THAT(made.error().fix, HasSubstr("pack"));
}

TEST_F(ReplayTest, ExplainsWithChangesThatWereTried) {
  auto c = control();
  live(*c);
  const auto huge = c->explain("huge");
  ASSERT_TRUE(huge);
  ASSERT_TRUE(huge->waiting);
  EXPECT_EQ(huge->waiting->reasons[0].code, core::ReasonCode::kNever);
  EXPECT_THAT(huge->waiting->reasons[0].text, HasSubstr("the most that a node has is 4"));
  EXPECT_TRUE(huge->holders.empty()) << "whoever ends, it does not fit";
  EXPECT_EQ(huge->waiting->position, 0u) << "it is in no line";

  const auto big = c->explain("big");
  ASSERT_TRUE(big);
  ASSERT_FALSE(big->holders.empty());
  EXPECT_EQ(big->holders[0].gang, "high");
  ASSERT_EQ(big->changes.size(), 2u);
  EXPECT_EQ(big->changes[0].text, "ask for 2 nvidia.com/gpu instead of 4");
  EXPECT_EQ(big->changes[1].text, "end high (queue q)");

  EXPECT_EQ(c->explain("high")->node, "n0");
  EXPECT_FALSE(c->explain("nobody"));
}

}  // namespace
}  // namespace berth::control
