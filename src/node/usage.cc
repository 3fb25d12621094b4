#include "node/usage.h"

#include <array>
#include <charconv>
#include <utility>

#include <fts.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "node/files.h"

namespace berth::node {
namespace {

int64_t number(std::string_view text) {
  int64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

int64_t meminfo(std::string_view table, std::string_view key) {
  const size_t at = table.find(key);
  return at == std::string_view::npos ? 0 : number(trim(table.substr(at + key.size()))) * 1024;
}

}  // namespace

double UsageRates::cores(const std::string& key, int64_t cpu_ns, Time now, Time since) {
  Last& last = last_.try_emplace(key, Last{0, since, true}).first->second;
  const int64_t span = (now - last.at).ns;
  const double out = span > 0 && cpu_ns >= last.cpu_ns
                         ? static_cast<double>(cpu_ns - last.cpu_ns) / static_cast<double>(span)
                         : 0;
  last = {cpu_ns, now, true};
  return out;
}

void UsageRates::sweep() {
  for (auto it = last_.begin(); it != last_.end();)
    it = std::exchange(it->second.seen, false) ? std::next(it) : last_.erase(it);
}

MachineCounters machine_counters() {
  MachineCounters out;
  const std::string stat = read_file("/proc/stat").value_or("");
  const std::string_view line = std::string_view(stat).substr(0, stat.find('\n'));
  int field = 0;
  int64_t ticks = 0;
  for (const std::string_view word : split(line, ' ')) {
    if (word.empty() || word == "cpu") continue;
    // user nice system idle iowait irq softirq steal; guest time is in user already
    if (field != 3 && field != 4 && field < 8) ticks += number(word);
    ++field;
  }
  out.busy_ns = ticks * (1'000'000'000 / ::sysconf(_SC_CLK_TCK));
  for (const std::string_view row : split(stat, '\n'))
    out.cpus += row.starts_with("cpu") && row.size() > 3 && row[3] != ' ' ? 1 : 0;
  const std::string memory = read_file("/proc/meminfo").value_or("");
  out.memory_bytes = meminfo(memory, "MemTotal:");
  out.memory_used_bytes = out.memory_bytes - meminfo(memory, "MemAvailable:");
  return out;
}

int64_t disk_usage(const std::string& folder) {
  std::string path = folder;
  std::array<char*, 2> roots = {path.data(), nullptr};
  FTS* walk = ::fts_open(roots.data(), FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, nullptr);
  if (walk == nullptr) return 0;
  int64_t bytes = 0;
  while (const FTSENT* entry = ::fts_read(walk))
    if (entry->fts_info != FTS_DP && entry->fts_statp != nullptr && entry->fts_info != FTS_NS &&
        entry->fts_info != FTS_ERR && entry->fts_info != FTS_DNR)
      bytes += static_cast<int64_t>(entry->fts_statp->st_blocks) * 512;
  ::fts_close(walk);
  return bytes;
}

}  // namespace berth::node
