#include "node/network/link_alias.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

namespace berth::node {
namespace {

constexpr size_t kLongestAlias = 255;

/// A request about one link, with room for one attribute.
struct LinkRequest {
  nlmsghdr header{};
  ifinfomsg link{};
  alignas(NLMSG_ALIGNTO) std::array<char, RTA_SPACE(kLongestAlias + 1)> attribute{};
};

/// Sends the request to the kernel and calls `use` with its answer; without one, does nothing.
template <class Use>
void ask(const LinkRequest& request, const Use& use) {
  const int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return;
  alignas(nlmsghdr) std::array<char, 16384> answer{};
  if (::send(fd, &request, request.header.nlmsg_len, 0) >= 0) {
    const ssize_t size = ::recv(fd, answer.data(), answer.size(), 0);
    const auto* header = reinterpret_cast<const nlmsghdr*>(answer.data());
    if (size >= static_cast<ssize_t>(sizeof(nlmsghdr)) &&
        header->nlmsg_len <= static_cast<size_t>(size))
      use(*header);
  }
  ::close(fd);
}

LinkRequest request_for(const std::string& interface, uint16_t type, uint16_t flags) {
  LinkRequest request;
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof(ifinfomsg));
  request.header.nlmsg_type = type;
  request.header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  request.link.ifi_family = AF_UNSPEC;
  request.link.ifi_index = static_cast<int>(::if_nametoindex(interface.c_str()));
  return request;
}

}  // namespace

std::string link_alias(const std::string& interface) {
  const LinkRequest request = request_for(interface, RTM_GETLINK, 0);
  std::string alias;
  if (request.link.ifi_index == 0) return alias;
  ask(request, [&](const nlmsghdr& answer) {
    if (answer.nlmsg_type != RTM_NEWLINK) return;
    const auto* link = static_cast<const ifinfomsg*>(NLMSG_DATA(&answer));
    auto left = static_cast<int>(IFLA_PAYLOAD(&answer));
    for (const rtattr* at = IFLA_RTA(link); RTA_OK(at, left); at = RTA_NEXT(at, left)) {
      if (at->rta_type != IFLA_IFALIAS) continue;
      alias.assign(static_cast<const char*>(RTA_DATA(at)), RTA_PAYLOAD(at));
      if (const size_t end = alias.find('\0'); end != std::string::npos) alias.resize(end);
    }
  });
  return alias;
}

void set_link_alias(const std::string& interface, const std::string& alias) {
  LinkRequest request = request_for(interface, RTM_SETLINK, NLM_F_ACK);
  const size_t size = std::min(alias.size(), kLongestAlias);
  if (request.link.ifi_index == 0) return;
  rtattr attribute{};
  attribute.rta_type = IFLA_IFALIAS;
  attribute.rta_len = static_cast<uint16_t>(RTA_LENGTH(size));
  std::memcpy(request.attribute.data(), &attribute, sizeof attribute);
  std::memcpy(request.attribute.data() + RTA_LENGTH(0), alias.data(), size);
  request.header.nlmsg_len =
      static_cast<uint32_t>(NLMSG_ALIGN(request.header.nlmsg_len) + RTA_ALIGN(attribute.rta_len));
  ask(request, [](const nlmsghdr&) {});
}

}  // namespace berth::node
