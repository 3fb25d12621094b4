#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "objects/validate.h"
#include "objects/yaml.h"

namespace berth::objects {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(ExamplesTest, EveryManifestIsGood) {
  const std::unique_ptr<Registry> registry = Registry::built_in();
  size_t documents_seen = 0;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(fs::path(BERTH_SOURCE_DIR) / "examples")) {
    if (entry.path().extension() != ".yaml") continue;
    const std::string name = entry.path().filename();
    const auto documents = parse_yaml(read_file(entry.path()), name);
    ASSERT_TRUE(documents) << documents.error().to_string();
    for (const YamlDocument& document : *documents) {
      ++documents_seen;
      for (const Error& error : check_manifest(*registry, document, name))
        ADD_FAILURE() << error.to_string();
    }
  }
  EXPECT_GE(documents_seen, 10U);
}

}  // namespace
}  // namespace berth::objects
