#include "node/network/bridge.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "node/network/link_alias.h"

namespace berth::node {
namespace {

std::unexpected<Error> errno_error(const std::string& what, const std::string& where) {
  const int error = errno;
  return fail(error == EPERM ? ErrorCode::kForbidden : ErrorCode::kInternal,
              what + ": " + std::strerror(error), where,
              error == EPERM ? "changing the network needs root (CAP_NET_ADMIN)" : "");
}

constexpr std::string_view kOwnerPrefix = "Berth of ";

/// A socket for interface requests.
class Control {
 public:
  Control() : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}
  ~Control() {
    if (fd_ >= 0) ::close(fd_);
  }
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  template <class Request>
  bool operator()(unsigned long code, Request* request) const {
    return ::ioctl(fd_, code, request) == 0;
  }

 private:
  int fd_;
};

Result<ifreq> request_for(const std::string& name) {
  ifreq request{};
  if (name.empty() || name.size() >= IFNAMSIZ)
    return fail(ErrorCode::kInvalid, "`" + name + "` cannot be an interface name", "",
                "give 1 to 15 characters");
  std::memcpy(request.ifr_name, name.c_str(), name.size());
  return request;
}

sockaddr socket_address(uint32_t ip) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(ip);
  sockaddr result{};
  static_assert(sizeof(result) == sizeof(address));
  std::memcpy(&result, &address, sizeof(result));
  return result;
}

Result<> set_flags(const Control& control, const std::string& name, short set, short clear) {
  BERTH_TRY(ifreq request, request_for(name));
  if (!control(SIOCGIFFLAGS, &request)) return errno_error("cannot read its flags", name);
  request.ifr_flags = static_cast<short>((request.ifr_flags | set) & ~clear);
  if (!control(SIOCSIFFLAGS, &request)) return errno_error("cannot set its flags", name);
  return {};
}

}  // namespace

bool interface_exists(const std::string& name) {
  return ::if_nametoindex(name.c_str()) != 0;
}

bool interface_has_address(const std::string& name, uint32_t address) {
  const Control control;
  auto request = request_for(name);
  if (!request || !control(SIOCGIFADDR, &*request)) return false;
  sockaddr_in found{};
  std::memcpy(&found, &request->ifr_addr, sizeof(found));
  return ntohl(found.sin_addr.s_addr) == address;
}

std::string interface_owner(const std::string& name) {
  const std::string alias = link_alias(name);
  return alias.starts_with(kOwnerPrefix) ? alias.substr(kOwnerPrefix.size()) : "";
}

void set_interface_owner(const std::string& name, const std::string& data_dir) {
  set_link_alias(name, std::string(kOwnerPrefix) + data_dir);
}

Result<> ensure_bridge(const std::string& name, uint32_t address, const Subnet& subnet) {
  const Control control;
  BERTH_TRY(ifreq request, request_for(name));
  if (!control(SIOCBRADDBR, request.ifr_name) && errno != EEXIST)
    return errno_error("cannot make the bridge", name);
  request.ifr_addr = socket_address(address);
  if (!control(SIOCSIFADDR, &request)) return errno_error("cannot set its address", name);
  request.ifr_addr = socket_address(subnet.mask());
  if (!control(SIOCSIFNETMASK, &request)) return errno_error("cannot set its network mask", name);
  return set_flags(control, name, IFF_UP, 0);
}

Result<> remove_bridge(const std::string& name) {
  if (!interface_exists(name)) return {};
  const Control control;
  BERTH_CHECK(set_flags(control, name, 0, IFF_UP));
  BERTH_TRY(ifreq request, request_for(name));
  if (!control(SIOCBRDELBR, request.ifr_name)) return errno_error("cannot remove the bridge", name);
  return {};
}

Result<> ensure_route(const Subnet& subnet, const std::string& interface) {
  const Control control;
  std::string device = interface;
  rtentry route{};
  route.rt_dst = socket_address(subnet.address);
  route.rt_genmask = socket_address(subnet.mask());
  route.rt_flags = RTF_UP;
  route.rt_dev = device.data();
  if (!control(SIOCADDRT, &route) && errno != EEXIST)
    return errno_error("cannot route " + subnet.to_string(), interface);
  return {};
}

std::string host_ip() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  std::string result;
  // Connecting a datagram socket sends nothing; it only chooses the address to send from.
  sockaddr_in probe{};
  probe.sin_family = AF_INET;
  probe.sin_port = htons(9);
  probe.sin_addr.s_addr = htonl(192U << 24 | 2U << 8 | 1U);  // 192.0.2.1, reserved for documents
  sockaddr_in own{};
  socklen_t length = sizeof(own);
  sockaddr generic{};
  std::memcpy(&generic, &probe, sizeof(generic));
  if (fd >= 0 && ::connect(fd, &generic, sizeof(generic)) == 0 &&
      ::getsockname(fd, &generic, &length) == 0) {
    std::memcpy(&own, &generic, sizeof(own));
    result = format_ipv4(ntohl(own.sin_addr.s_addr));
  }
  if (fd >= 0) ::close(fd);
  if (!result.empty()) return result;

  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) == 0) {
    for (const ifaddrs* entry = list; entry != nullptr && result.empty(); entry = entry->ifa_next) {
      if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
      if ((entry->ifa_flags & IFF_LOOPBACK) != 0 || (entry->ifa_flags & IFF_UP) == 0) continue;
      std::memcpy(&own, entry->ifa_addr, sizeof(own));
      result = format_ipv4(ntohl(own.sin_addr.s_addr));
    }
    ::freeifaddrs(list);
  }
  return result.empty() ? "127.0.0.1" : result;
}

Result<std::string> set_sysctl(const std::string& path, const std::string& value) {
  std::string old;
  {
    std::ifstream file(path);
    if (!std::getline(file, old)) return fail(ErrorCode::kInternal, "cannot be read", path);
  }
  if (trim(old) == value) return old;
  std::ofstream file(path);
  file << value << std::flush;
  if (!file)
    return fail(ErrorCode::kForbidden, "cannot be set to " + value, path,
                "set it as root, or give Berth the right to");
  return old;
}

}  // namespace berth::node
