#include "node/network/hosts_file.h"

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "node/files.h"
#include "node/network/subnet.h"
#include "platform/process.h"

namespace berth::node {
namespace {

using objects::find;
using objects::find_array;
using objects::find_bool;
using objects::find_string;

constexpr std::string_view kDomain = "svc.cluster.local";
constexpr size_t kLongestHostname = 63;

/// A name that cannot end a line or begin another entry.
bool is_name(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
}

bool is_address(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == '.' ||
           c == ':';
  });
}

std::string_view hostname_of(const Json& pod) {
  const std::string_view given = find_string(pod, {"spec", "hostname"});
  return given.empty() ? find_string(pod, {"metadata", "name"}).substr(0, kLongestHostname) : given;
}

/// `x.default x.default.svc x.default.svc.cluster.local`
std::string with_endings(std::string_view name, std::string_view ns) {
  return fmt::format("{0}.{1} {0}.{1}.svc {0}.{1}.{2}", name, ns, kDomain);
}

bool is_reachable(const Json& pod) {
  const std::string_view phase = find_string(pod, {"status", "phase"});
  return phase != "Succeeded" && phase != "Failed" &&
         find(pod, {"metadata", "deletionTimestamp"}) == nullptr &&
         is_address(find_string(pod, {"status", "podIP"}));
}

/// Ready addresses of a headless Service by `namespace/name`.
std::map<std::string, std::set<std::string>> ready_addresses(std::span<const SharedJson> slices) {
  std::map<std::string, std::set<std::string>> result;
  for (const SharedJson& slice : slices) {
    const std::string_view service =
        find_string(*slice, {"metadata", "labels", "kubernetes.io/service-name"});
    const std::string_view ns = find_string(*slice, {"metadata", "namespace"});
    for (const Json& endpoint : find_array(*slice, {"endpoints"})) {
      if (!find_bool(endpoint, {"conditions", "ready"}, true)) continue;
      for (const Json& address : find_array(endpoint, {"addresses"})) {
        if (address.is_string() && is_address(std::string_view(address.as_string())))
          result[fmt::format("{}/{}", ns, service)].emplace(address.as_string());
      }
    }
  }
  return result;
}

}  // namespace

HostNames::HostNames(std::span<const SharedJson> services, std::span<const SharedJson> slices,
                     std::span<const SharedJson> pods) {
  const auto addresses = ready_addresses(slices);
  std::set<std::string> taken;  // namespace/name
  for (const SharedJson& service : services) {
    const std::string_view ns = find_string(*service, {"metadata", "namespace"});
    const std::string_view name = find_string(*service, {"metadata", "name"});
    if (!is_name(ns) || !is_name(name)) continue;
    const std::string key = fmt::format("{}/{}", ns, name);
    taken.insert(key);
    const std::string_view cluster_ip = find_string(*service, {"spec", "clusterIP"});
    if (parse_ipv4(cluster_ip)) {
      add(ns, cluster_ip, std::string(name), with_endings(name, ns));
    } else if (const auto ready = addresses.find(key);
               cluster_ip == "None" && ready != addresses.end()) {
      for (const std::string& ip : ready->second)
        add(ns, ip, std::string(name), with_endings(name, ns));
    }
  }
  for (const SharedJson& pod : pods) {
    if (!is_reachable(*pod)) continue;
    const std::string_view ns = find_string(*pod, {"metadata", "namespace"});
    const std::string_view name = find_string(*pod, {"metadata", "name"});
    const std::string_view ip = find_string(*pod, {"status", "podIP"});
    const std::string_view hostname = hostname_of(*pod);
    const std::string_view subdomain = find_string(*pod, {"spec", "subdomain"});
    if (!is_name(ns) || !is_name(name) || !is_name(hostname)) continue;
    std::string short_names;
    std::string long_names;
    if (!taken.contains(fmt::format("{}/{}", ns, name))) {
      short_names = name;
      long_names = fmt::format("{}.{}", name, ns);
    }
    if (hostname != name && !taken.contains(fmt::format("{}/{}", ns, hostname)))
      short_names += (short_names.empty() ? "" : " ") + std::string(hostname);
    if (is_name(subdomain)) {
      const std::string full = fmt::format("{}.{}", hostname, subdomain);
      short_names += (short_names.empty() ? "" : " ") + full;
      long_names += (long_names.empty() ? "" : " ") + with_endings(full, ns);
    }
    if (!short_names.empty() || !long_names.empty())
      add(ns, ip, std::move(short_names), std::move(long_names));
  }
}

void HostNames::add(std::string_view ns, std::string_view ip, std::string short_names,
                    std::string long_names) {
  by_namespace_[std::string(ns)].push_back(
      {std::string(ip), std::move(short_names), std::move(long_names)});
}

std::string HostNames::text(std::string_view ns) const {
  std::string result;
  const auto append = [&](std::string_view ip, std::string_view first, std::string_view second) {
    if (first.empty() && second.empty()) return;
    result += ip;
    for (const std::string_view names : {first, second}) {
      if (!names.empty()) (result += ' ') += names;
    }
    result += '\n';
  };
  if (const auto own = by_namespace_.find(ns); own != by_namespace_.end()) {
    for (const Line& line : own->second) append(line.ip, line.short_names, line.long_names);
  }
  for (const auto& [other, lines] : by_namespace_) {
    if (other == ns) continue;
    for (const Line& line : lines) append(line.ip, "", line.long_names);
  }
  return result;
}

std::string own_host_lines(const Json* pod, std::string_view ns, std::string_view name,
                           std::string_view ip) {
  std::string text =
      "# Kept current by Berth: changes are overwritten.\n"
      "127.0.0.1 localhost\n"
      "::1 localhost ip6-localhost ip6-loopback\n";
  const std::string_view hostname =
      pod == nullptr ? name.substr(0, kLongestHostname) : hostname_of(*pod);
  const std::string_view subdomain =
      pod == nullptr ? std::string_view() : find_string(*pod, {"spec", "subdomain"});
  if (is_address(ip) && is_name(hostname)) {
    // The full name comes first: it is what a reverse look-up answers.
    if (is_name(subdomain))
      text += fmt::format("{} {}.{}.{}.{} {}\n", ip, hostname, subdomain, ns, kDomain, hostname);
    else
      text += fmt::format("{} {}\n", ip, hostname);
  }
  if (pod == nullptr) return text;
  for (const Json& alias : find_array(*pod, {"spec", "hostAliases"})) {
    const std::string_view alias_ip = find_string(alias, {"ip"});
    if (!is_address(alias_ip)) continue;
    std::string line(alias_ip);
    for (const Json& alias_name : find_array(alias, {"hostnames"})) {
      if (alias_name.is_string() && is_name(std::string_view(alias_name.as_string())))
        (line += ' ') += std::string_view(alias_name.as_string());
    }
    text += line + "\n";
  }
  return text;
}

Result<> HostsFiles::put(const std::string& pod_uid, const std::string& path, std::string ns,
                         std::string own_lines) {
  const std::lock_guard lock(mutex_);
  File& file = files_[pod_uid];
  if (file.path != path) file.written.clear();
  // What it has of others is as current as it can be here.
  if (!file.written.empty() && file.ns == ns && file.own_lines == own_lines) return {};
  file.path = path;
  file.ns = std::move(ns);
  file.own_lines = std::move(own_lines);
  return write(file, names_.text(file.ns));
}

void HostsFiles::remove(const std::string& pod_uid) {
  const std::lock_guard lock(mutex_);
  files_.erase(pod_uid);
}

Result<> HostsFiles::update(HostNames names) {
  const std::lock_guard lock(mutex_);
  names_ = std::move(names);
  std::map<std::string, std::string> shared;  // by namespace
  Result<> first_error;
  for (auto& [uid, file] : files_) {
    auto text = shared.find(file.ns);
    if (text == shared.end()) text = shared.emplace(file.ns, names_.text(file.ns)).first;
    auto written = write(file, text->second);
    if (!written && first_error) first_error = std::move(written);
  }
  return first_error;
}

Result<> HostsFiles::write(File& file, std::string_view shared) {
  std::string text = file.own_lines;
  text += shared;
  if (text == file.written) return {};
  const platform::Fd fd(
      ::open(file.path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd.valid()) return errno_error("cannot open", file.path);
  // One write, then the end: a reader between the two sees at worst old lines at the end.
  const ssize_t size = ::pwrite(fd.get(), text.data(), text.size(), 0);
  if (size != static_cast<ssize_t>(text.size()) ||
      ::ftruncate(fd.get(), static_cast<off_t>(text.size())) != 0)
    return errno_error("cannot write", file.path);
  file.written = std::move(text);
  return {};
}

}  // namespace berth::node
