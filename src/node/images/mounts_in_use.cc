#include "node/images/mounts_in_use.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "node/files.h"

namespace berth::node {

namespace fs = std::filesystem;

void add_mounted_below(std::string_view mountinfo, const std::string& directory,
                       std::set<std::string>& names) {
  const std::string prefix = directory + "/";
  for (size_t at = mountinfo.find(prefix); at != std::string_view::npos;
       at = mountinfo.find(prefix, at + 1)) {
    const size_t begin = at + prefix.size();
    const size_t end = std::min(mountinfo.find_first_of("/:, \n", begin), mountinfo.size());
    if (end > begin) names.emplace(mountinfo.substr(begin, end - begin));
  }
}

std::set<std::string> mounted_below(const std::string& directory) {
  std::set<std::string> names;
  std::set<std::string> seen;  // mount namespaces
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename().string();
    if (!std::ranges::all_of(name, [](unsigned char c) { return std::isdigit(c) != 0; })) continue;
    std::error_code error;
    const std::string space = fs::read_symlink(entry.path() / "ns/mnt", error).string();
    if (error || !seen.insert(space).second) continue;
    if (const auto text = read_file((entry.path() / "mountinfo").string()))
      add_mounted_below(*text, directory, names);
  }
  return names;
}

}  // namespace berth::node
