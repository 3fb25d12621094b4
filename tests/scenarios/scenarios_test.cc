// Runs every *.txt beside this file: see README.md for the language.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "base/quantity.h"
#include "base/text.h"
#include "control/cycle.h"
#include "core/model/state.h"
#include "core/model/trial.h"

namespace berth {
namespace {

using namespace core;  // NOLINT

struct Line {
  int number = 0;
  std::string verb;
  std::vector<std::string> words;             ///< without `=`
  std::map<std::string, std::string> values;  ///< `key=value`
};

class Scenario {
 public:
  explicit Scenario(std::filesystem::path path) : path_(std::move(path)) {
    state_.apply(PolicySet{});
    state_.apply(Tick{kStart});
  }

  void run() {
    std::ifstream file(path_);
    ASSERT_TRUE(file) << path_;
    std::string text;
    for (int number = 1; std::getline(file, text); ++number) {
      text = text.substr(0, text.find('#'));
      std::istringstream in(text);
      Line line{.number = number, .verb = {}, .words = {}, .values = {}};
      in >> line.verb;
      for (std::string word; in >> word;) {
        const size_t equals = word.find('=');
        if (equals == std::string::npos)
          line.words.push_back(word);
        else
          line.values[word.substr(0, equals)] = word.substr(equals + 1);
      }
      if (line.verb.empty()) continue;
      if (line.verb != "expect" && line.verb != "for") check_plan();
      step(line);
      if (testing::Test::HasFatalFailure()) return;
    }
    check_plan();
  }

 private:
  static constexpr Time kStart{int64_t{1'000'000} * 1'000'000'000};

  std::string at(const Line& line) const {
    return path_.filename().string() + ":" + std::to_string(line.number) + ": ";
  }
  void step(Line& line) {
    using Step = void (Scenario::*)(Line&);
    static const std::map<std::string, Step> kSteps = {
        {"profile", &Scenario::on_profile},
        {"node", &Scenario::on_node},
        {"queue", &Scenario::on_queue},
        {"gang", &Scenario::on_gang},
        {"task", &Scenario::on_task},
        {"at", &Scenario::on_at},
        {"cycle", &Scenario::on_cycle},
        {"expect", &Scenario::on_expect},
        {"gone", &Scenario::on_gone},
        {"stopped", &Scenario::on_stopped},
        {"lost", &Scenario::on_lost},
        {"sample", &Scenario::on_sample},
        {"unbound", &Scenario::on_unbound},
        {"checkpoint", &Scenario::on_checkpoint},
        {"refuse", &Scenario::on_refuse},
        {"usage-half-life", &Scenario::on_half_life},
        {"consolidate", &Scenario::on_consolidate},
        {"rounds", &Scenario::on_rounds},
        {"disruptions", &Scenario::on_disruptions},
        {"weigh", &Scenario::on_weigh},
    };
    const auto found = kSteps.find(line.verb);
    ASSERT_TRUE(found != kSteps.end()) << at(line) << "unknown step `" << line.verb << "`";
    (this->*found->second)(line);
    ASSERT_TRUE(line.values.empty())
        << at(line) << "unknown setting `" << line.values.begin()->first << "`";
  }

  // --- reading ---

  std::string take(Line& line, const std::string& key, const std::string& fallback = {}) {
    const auto found = line.values.find(key);
    if (found == line.values.end()) return fallback;
    std::string value = found->second;
    line.values.erase(found);
    return value;
  }
  int64_t milli(Line& line, const std::string& key, const std::string& fallback) {
    const auto quantity = Quantity::parse(take(line, key, fallback));
    EXPECT_TRUE(quantity) << at(line) << key;
    return quantity ? quantity->milli() : 0;
  }
  int64_t units(Line& line, const std::string& key, const std::string& fallback) {
    return milli(line, key, fallback) / 1000;
  }
  Duration duration(Line& line, const std::string& key, const std::string& fallback) {
    const auto value = parse_duration(take(line, key, fallback));
    EXPECT_TRUE(value) << at(line) << key;
    return value.value_or(Duration{});
  }
  std::string name(const Line& line) {
    EXPECT_FALSE(line.words.empty()) << at(line) << "a name is missing";
    return line.words.empty() ? std::string() : line.words[0];
  }

  // --- what there is ---

  void on_profile(Line& line) {
    PolicySet policy = state_.policy();
    policy.profile = name(line);
    state_.apply(policy);
  }

  void on_consolidate(Line&) {
    PolicySet policy = state_.policy();
    policy.consolidate = true;
    state_.apply(policy);
  }
  void on_rounds(Line& line) {
    PolicySet policy = state_.policy();
    policy.rounds = {name(line), duration(line, "length", "10m"), duration(line, "restart", "1m")};
    state_.apply(policy);
  }
  void on_disruptions(Line& line) {
    DisruptionBudgetUpsert budget{.name = "default/" + name(line),
                                  .ns = "default",
                                  .selector = {},
                                  .allowed = units(line, "allowed", "0")};
    budget.selector.all.push_back({"app", Operator::kIn, {take(line, "app")}});
    state_.apply(budget);
  }
  void on_half_life(Line& line) {
    PolicySet policy = state_.policy();
    const auto half_life = parse_duration(name(line));
    ASSERT_TRUE(half_life) << at(line);
    policy.usage_half_life = *half_life;
    state_.apply(policy);
  }

  void on_weigh(Line& line) {
    PolicySet policy = state_.policy();
    policy.accelerator_weights_milli.emplace_back(
        name(line) == "gpu" ? "nvidia.com/gpu" : name(line), milli(line, "as", "1"));
    state_.apply(policy);
  }

  void on_node(Line& line) {
    NodeUpsert node;
    node.name = name(line);
    node.capacity = {milli(line, "cpu", "64"), units(line, "mem", "512Gi"),
                     units(line, "disk", "1Ti"), units(line, "pods", "110")};
    node.unschedulable = take(line, "cordoned") == "yes";
    const int64_t count = units(line, "gpu", "0");
    const std::string model = take(line, "model", "H100");
    const int64_t memory = units(line, "gpumem", "80Gi");
    for (int64_t i = 0; i < count; ++i)
      node.devices.push_back({.id = "gpu-" + std::to_string(i),
                              .resource = "nvidia.com/gpu",
                              .model = model,
                              .memory_bytes = memory});
    if (const int64_t counted = units(line, "counted", "0"); counted > 0)
      node.counted.push_back({"nvidia.com/gpu", model, counted, true});
    for (const std::string& busy : {take(line, "busy")})
      for (DeviceSpec& device : node.devices) device.busy |= device.id == busy;
    for (auto entry = line.values.begin(); entry != line.values.end();) {
      if (entry->first.starts_with("label.")) {
        node.labels.emplace_back(entry->first.substr(6), entry->second);
        entry = line.values.erase(entry);
      } else {
        ++entry;
      }
    }
    state_.apply(node);
  }

  QuotaSpec quota(Line& line, const std::string& prefix) {
    QuotaSpec quota;
    for (auto entry = line.values.begin(); entry != line.values.end();) {
      if (!entry->first.starts_with(prefix + ".")) {
        ++entry;
        continue;
      }
      const std::string key = entry->first.substr(prefix.size() + 1);
      const auto amount = Quantity::parse(entry->second);
      EXPECT_TRUE(amount) << at(line);
      entry = line.values.erase(entry);
      if (key == "cpu")
        quota.cpu_milli = amount->milli();
      else if (key == "mem")
        quota.memory_bytes = amount->units();
      else
        quota.accelerators.push_back({key == "gpu" ? "nvidia.com/gpu" : key, amount->milli(), 0});
    }
    return quota;
  }

  void on_queue(Line& line) {
    QueueUpsert queue;
    queue.name = name(line);
    queue.parent = take(line, "parent");
    queue.weight_milli = milli(line, "weight", "1");
    queue.guaranteed = quota(line, "guarantee");
    queue.limit = quota(line, "limit");
    if (take(line, "reclaim", "fairShare") == "guarantee") queue.reclaim = Reclaim::kGuarantee;
    queue.budget.spent = line.values.contains("spentUntil");
    queue.budget.preempts = take(line, "onExceeded") == "preempt";
    queue.budget.amount = take(line, "budget", "10 USD a day");
    queue.budget.until = kStart + duration(line, "spentUntil", "0");
    queue.times.protection = duration(line, "protection", "0");
    queue.times.reclaim_delay = duration(line, "reclaimDelay", "60s");
    queue.times.replace_timeout = duration(line, "replaceTimeout", "5m");
    state_.apply(queue);
  }

  void on_gang(Line& line) {
    GangUpsert gang;
    gang.name = name(line);
    gang.queue = take(line, "queue", "default");
    gang.priority = static_cast<int32_t>(units(line, "priority", "0"));
    gang.min = static_cast<uint32_t>(units(line, "min", "1"));
    gang.max = static_cast<uint32_t>(units(line, "max", std::to_string(gang.min)));
    gang.created = created();
    gang.topology_key = take(line, "topology");
    gang.topology_required = !gang.topology_key.empty() && take(line, "preferred") != "yes";
    gangs_[gang.name] = gang;
    state_.apply(gang);
  }

  void on_task(Line& line) {
    const int64_t copies = units(line, "copies", "1");
    TaskUpsert task;
    task.ns = "default";
    task.gang = take(line, "gang");
    task.queue = take(line, "queue", "default");
    task.priority = static_cast<int32_t>(units(line, "priority", "0"));
    if (!task.gang.empty()) task.priority = gangs_[task.gang].priority;
    if (line.values.contains("growth")) task.growth_micro = 1000 * milli(line, "growth", "0");
    task.preemptible = take(line, "preemptible", "yes") == "yes";
    task.restartable = take(line, "restartable", "no") == "yes";
    task.gated = take(line, "gated", "no") == "yes";
    task.expected_duration = duration(line, "duration", "0");
    task.grace = duration(line, "grace", "30s");
    task.shape.request.cpu_milli = milli(line, "cpu", "1");
    task.shape.request.memory_bytes = units(line, "mem", "1Gi");
    const int64_t gpus = milli(line, "gpu", "0");
    const int64_t memory = units(line, "gpumem", "0");
    if (gpus > 0 || memory > 0) {
      task.shape.devices.resource = "nvidia.com/gpu";
      task.shape.devices.count = static_cast<uint16_t>(std::max<int64_t>(1, gpus / 1000));
      task.shape.devices.milli = static_cast<uint16_t>(gpus >= 1000 ? 1000 : gpus);
      task.shape.devices.memory_bytes = memory;
    }
    const std::string models = take(line, "model");
    for (std::string_view model : split(models, '|'))
      if (!model.empty()) task.shape.devices.models.emplace_back(model);
    for (auto entry = line.values.begin(); entry != line.values.end();) {
      if (entry->first.starts_with("select.")) {
        task.shape.filter.selector.push_back(
            {entry->first.substr(7), Operator::kIn, {entry->second}});
        entry = line.values.erase(entry);
      } else {
        ++entry;
      }
    }
    if (line.values.contains("app")) task.labels.emplace_back("app", take(line, "app"));
    const std::string where = take(line, "on");
    for (int64_t copy = 0; copy < copies; ++copy) {
      task.name = name(line) + (copies > 1 ? "-" + std::to_string(copy) : "");
      task.created = created();
      if (!where.empty()) run_on(line, task, where);
      tasks_[task.name] = task;
      state_.apply(task);
    }
  }

  /// `on=NODE` or `on=NODE:DEVICE,DEVICE`: it already runs there.
  void run_on(const Line& line, TaskUpsert& task, const std::string& where) {
    const size_t colon = where.find(':');
    task.node = where.substr(0, colon);
    task.phase = TaskPhase::kRunning;
    task.started = state_.now();
    task.devices.clear();
    if (colon != std::string::npos) {
      for (std::string_view id : split(std::string_view(where).substr(colon + 1), ','))
        task.devices.emplace_back(id);
    } else if (task.shape.devices.count > 0) {
      const NodeId id = state_.find_node(task.node);
      ASSERT_TRUE(id.valid()) << at(line) << "no node " << task.node;
      for (const Device& device : state_.node(id).devices)
        if (task.devices.size() < task.shape.devices.count && device.used_milli == 0)
          task.devices.emplace_back(state_.names().text(device.id));
    }
  }

  Time created() { return state_.now() + Duration::milliseconds(++arrivals_); }

  // --- what happens ---

  void on_at(Line& line) {
    const auto offset = parse_duration(name(line));
    ASSERT_TRUE(offset) << at(line);
    state_.apply(Tick{kStart + *offset});
  }
  void on_gone(Line& line) {
    for (const std::string& task : line.words) {
      ASSERT_TRUE(state_.find_task(task).valid()) << at(line) << "no task " << task;
      state_.apply(TaskRemove{task});
    }
  }
  void on_stopped(Line&) {
    std::vector<std::string> stopped;
    for (const Task& task : state_.tasks())
      if (task.phase == TaskPhase::kReleasing) stopped.push_back(task.name);
    for (const std::string& task : stopped) {
      state_.apply(TaskRemove{task});
      // Its controller makes it again.
      TaskUpsert again = tasks_[task];
      again.phase = TaskPhase::kPending;
      again.node.clear();
      again.devices.clear();
      again.started = {};
      state_.apply(again);
    }
  }
  void on_lost(Line& line) { state_.apply(NodeRemove{name(line)}); }
  void on_unbound(Line& line) {
    state_.apply(TaskRemove{name(line)}), state_.apply(tasks_[name(line)]);
  }
  /// The next binding of each comes to nothing.
  void on_refuse(Line& line) { refused_.insert(line.words.begin(), line.words.end()); }
  void on_sample(Line& line) {
    NodeSample sample{.node = name(line)};
    sample.cpu_permille = static_cast<int32_t>(units(line, "cpu", "-1"));
    sample.memory_permille = static_cast<int32_t>(units(line, "mem", "-1"));
    sample.device_permille = static_cast<int32_t>(units(line, "gpu", "-1"));
    state_.apply(UsageWindow{{sample}});
  }
  void on_checkpoint(Line& line) {
    TaskUpsert& task = tasks_[name(line)];
    task.last_checkpoint = state_.now();
    state_.apply(task);
  }

  void on_cycle(Line& line) {
    cycle_ = line.number;
    auto placer = make_placer(state_.policy().profile, 1);
    ASSERT_NE(placer, nullptr) << at(line) << "no profile " << state_.policy().profile;
    const uint64_t before = state_.hash();
    plan_ = control::decide(state_, *placer, ++plan_id_);
    ASSERT_EQ(state_.hash(), before) << at(line) << "the cycle left a trace";
    decided_ = true;
    expected_.clear();
  }

  // --- what is expected ---

  void on_expect(Line& line) {
    ASSERT_TRUE(decided_) << at(line) << "`expect` stands after `cycle`";
    std::string expected;
    for (const std::string& word : line.words) expected += (expected.empty() ? "" : " ") + word;
    expected_.push_back({line.number, expected});
  }

  /// What a plan says, as the lines that can be expected of it.
  std::vector<std::string> spoken() const {
    std::vector<std::string> lines;
    for (const Action& action : plan_.actions) {
      if (const auto* bind = std::get_if<Bind>(&action)) {
        std::string text = "bind " + bind->place.task + " " + bind->place.node;
        for (const std::string& device : bind->place.devices) text += " " + device;
        lines.push_back(text + (bind->backfilled ? " backfilled" : ""));
      } else if (const auto* evict = std::get_if<Evict>(&action)) {
        lines.push_back("evict " + evict->task + " " + std::string(to_string(evict->reason)) +
                        (evict->beneficiary.empty() ? "" : " for " + evict->beneficiary));
      } else if (const auto* claim = std::get_if<Claim>(&action)) {
        lines.push_back((claim->reservation ? "reserve " : "claim ") + claim->gang +
                        (claim->reservation && claim->start
                             ? " " + format_duration(*claim->start - kStart)
                             : ""));
      } else if (const auto* intent = std::get_if<PersistIntent>(&action)) {
        lines.push_back("intent " + intent->gang + " " + std::to_string(intent->members.size()));
      } else if (const auto* cleared = std::get_if<ClearIntent>(&action)) {
        lines.push_back("clear " + cleared->gang);
      } else if (const auto* unclaim = std::get_if<Unclaim>(&action)) {
        lines.push_back("unclaim " + unclaim->gang);
      }
    }
    for (const Waiting& waiting : plan_.waiting)
      for (const Reason& reason : waiting.reasons)
        lines.push_back("wait " + waiting.gang + " " + std::string(to_string(reason.code)) + " " +
                        reason.text);
    return lines;
  }

  /// The beginning is enough; `backfilled` counts wherever the devices stand.
  static bool says(const std::string& line, std::string expected) {
    constexpr std::string_view kBackfilled = " backfilled";
    if (expected.ends_with(kBackfilled)) {
      if (!line.ends_with(kBackfilled)) return false;
      expected.resize(expected.size() - kBackfilled.size());
    }
    return line == expected || line.starts_with(expected + " ") ||
           (line.starts_with("wait ") && line.starts_with(expected));
  }

  static bool must_be_expected(const std::string& line) {
    return line.starts_with("bind ") || line.starts_with("evict ") || line.starts_with("claim ") ||
           line.starts_with("reserve ");
  }

  void check_plan() {
    if (!decided_) return;
    decided_ = false;
    const std::vector<std::string> said = spoken();
    std::string all;
    for (const std::string& line : said) all += "\n  " + line;
    std::vector<bool> met(said.size(), false);
    for (const auto& [number, expected] : expected_) {
      if (expected == "nothing") continue;
      bool found = false;
      for (size_t i = 0; i < said.size() && !found; ++i)
        if (!met[i] && says(said[i], expected)) found = met[i] = true;
      EXPECT_TRUE(found) << path_.filename().string() << ":" << number << ": expected `" << expected
                         << "`; the plan says:" << all;
    }
    for (size_t i = 0; i < said.size(); ++i)
      EXPECT_TRUE(met[i] || !must_be_expected(said[i]))
          << path_.filename().string() << ":" << cycle_ << ": unexpected `" << said[i] << "`";
    carry_out();
  }

  /// Every binding succeeds and its task runs; what is told to stop does so at `stopped`.
  void carry_out() {
    state_.apply(PlanCommit{plan_.id, plan_.actions});
    for (const Action& action : plan_.actions) {
      const auto* bind = std::get_if<Bind>(&action);
      if (bind == nullptr) continue;
      const bool refused = refused_.erase(bind->place.task) > 0;
      state_.apply(BindDone{bind->place.task, !refused});
      if (refused) continue;
      TaskUpsert running = tasks_[bind->place.task];
      running.phase = TaskPhase::kRunning;
      running.node = bind->place.node;
      running.devices = bind->place.devices;
      state_.apply(running);
    }
    for (const Node& node : state_.nodes())
      for (const Device& device : node.devices)
        EXPECT_LE(device.used_milli, 1000) << "cycle at line " << cycle_;
  }

  std::filesystem::path path_;
  State state_;
  std::map<std::string, TaskUpsert> tasks_;
  std::set<std::string, std::less<>> refused_;
  std::map<std::string, GangUpsert> gangs_;
  int64_t arrivals_ = 0;
  uint64_t plan_id_ = 0;
  Plan plan_;
  bool decided_ = false;
  int cycle_ = 0;
  std::vector<std::pair<int, std::string>> expected_;
};

std::vector<std::string> scenario_files() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(BERTH_SOURCE_DIR "/tests/scenarios"))
    if (entry.path().extension() == ".txt") files.push_back(entry.path().stem().string());
  std::sort(files.begin(), files.end());
  return files;
}

class Scenarios : public testing::TestWithParam<std::string> {};

TEST_P(Scenarios, Hold) {
  Scenario(BERTH_SOURCE_DIR "/tests/scenarios/" + GetParam() + ".txt").run();
}

INSTANTIATE_TEST_SUITE_P(Text, Scenarios, testing::ValuesIn(scenario_files()),
                         [](const auto& file) { return file.param; });

}  // namespace
}  // namespace berth
