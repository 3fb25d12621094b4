#include "node/network/pod_records.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <unistd.h>

#include "node/files.h"

namespace berth::node {
namespace {

using objects::find;
using objects::find_array;
using objects::find_object;
using objects::find_string;

constexpr std::string_view kSuffix = ".json";

}  // namespace

std::string PodRecords::path(const std::string& pod_uid) const {
  return directory_ + "/" + pod_uid + std::string(kSuffix);
}

std::optional<PodRecord> PodRecords::read(const std::string& pod_uid) const {
  const auto text = read_file(path(pod_uid));
  if (!text) return std::nullopt;
  boost::system::error_code error;
  const Json root = boost::json::parse(*text, error);
  if (error || !root.is_object()) return std::nullopt;
  auto config = parse_cni_config(find_string(root, {"config"}), path(pod_uid));
  if (!config) return std::nullopt;

  PodRecord record;
  record.pod_uid = pod_uid;
  record.netns_path = find_string(root, {"netns"});
  record.config = *std::move(config);
  record.attachment.container_id = pod_uid;
  record.attachment.netns = record.netns_path;
  for (const auto& [name, value] : find_object(root, {"args"})) {
    if (value.is_string()) record.attachment.args.emplace_back(name, value.as_string());
  }
  record.attachment.capabilities = find_object(root, {"capabilities"});
  if (const Json* result = find(root, {"result"})) record.result = *result;
  for (const Json& ip : find_array(root, {"ips"})) {
    if (ip.is_string()) record.ips.emplace_back(ip.as_string());
  }
  return record;
}

Result<> PodRecords::write(const PodRecord& record) const {
  JsonObject args;
  for (const auto& [name, value] : record.attachment.args) args[name] = value;
  JsonObject root;
  root["netns"] = record.netns_path;
  root["config"] = format_cni_config(record.config);
  root["args"] = std::move(args);
  root["capabilities"] = record.attachment.capabilities;
  root["result"] = record.result;
  root["ips"] = JsonArray(record.ips.begin(), record.ips.end());
  BERTH_CHECK(make_directories(directory_, 0700));
  return rewrite_record(path(record.pod_uid), boost::json::serialize(root));
}

Result<> PodRecords::remove(const std::string& pod_uid) const {
  if (::unlink(path(pod_uid).c_str()) != 0 && errno != ENOENT)
    return errno_error("cannot remove", path(pod_uid));
  return {};
}

std::vector<std::string> PodRecords::list() const {
  std::vector<std::string> uids;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(kSuffix)) uids.push_back(name.substr(0, name.size() - kSuffix.size()));
  }
  std::ranges::sort(uids);
  return uids;
}

}  // namespace berth::node
