#include "app/metrics.h"

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

namespace berth::app {
namespace {

const std::string kPage = BERTH_SOURCE_DIR "/docs/metrics.md";

TEST(Metrics, ThePageIsTheCatalogue) {
  if (std::getenv("BERTH_WRITE_DOCS") != nullptr) std::ofstream(kPage) << metrics_page();
  std::stringstream page;
  page << std::ifstream(kPage).rdbuf();
  EXPECT_EQ(page.str(), metrics_page());
}

TEST(Metrics, NamesFollowTheConvention) {
  std::set<std::string_view> names;
  for (const Metric& metric : metric_catalogue()) {
    EXPECT_TRUE(names.insert(metric.name).second) << metric.name << " is there twice";
    EXPECT_TRUE(metric.name.starts_with("berth_")) << metric.name;
    EXPECT_EQ(metric.name.ends_with("_total"), metric.type == MetricType::kCounter) << metric.name;
    EXPECT_FALSE(metric.help.empty()) << metric.name;
  }
}

}  // namespace
}  // namespace berth::app
