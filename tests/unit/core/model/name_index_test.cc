#include "core/model/names/name_index.h"

#include <map>
#include <string>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "core/model/ids.h"

namespace berth::core {
namespace {

TEST(NameIndex, FindsWhatAMapFinds) {
  Rng rng(1);
  NameIndex<TaskId> index;
  std::map<std::string, TaskId, std::less<>> known;
  std::vector<std::string> names;  // by id
  const auto name_of = [&](TaskId id) -> std::string_view { return names[id.index()]; };
  EXPECT_FALSE(index.find("t0", name_of).valid());
  for (int step = 0; step < 20'000; ++step) {
    const std::string name = "t" + std::to_string(rng.below(300));
    const auto at = known.find(name);
    if (at == known.end()) {
      EXPECT_FALSE(index.find(name, name_of).valid());
      const TaskId id{static_cast<uint32_t>(names.size())};
      names.push_back(name);
      index.insert(name, id);
      known.emplace(name, id);
    } else {
      EXPECT_EQ(index.find(name, name_of), at->second);
      EXPECT_TRUE(index.erase(name, at->second));
      EXPECT_FALSE(index.erase(name, at->second));
      known.erase(at);
    }
  }
  for (const auto& [name, id] : known) EXPECT_EQ(index.find(name, name_of), id);
}

}  // namespace
}  // namespace berth::core
