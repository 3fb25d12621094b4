#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "base/time.h"
#include "node/devices/device_source.h"
#include "node/images/host_image.h"
#include "node/images/image_store.h"
#include "node/network/pod_network.h"
#include "platform/process.h"

namespace berth::node::testing {

class WallClock : public Clock {
 public:
  Time now() const override {
    return Time{std::chrono::duration_cast<std::chrono::nanoseconds>(
                    std::chrono::system_clock::now().time_since_epoch())
                    .count()};
  }
};

/// Pods in a namespace of their own without an address: what CNI does has its own tests.
class BareNetwork : public PodNetwork {
 public:
  Result<PodAttachment> ensure_pod_network(const PodNetworkRequest& request) override {
    if (request.host_network) return PodAttachment{{"127.0.0.1"}, {}};
    const std::string path = "/run/netns/" + request.netns_name;
    if (::access(path.c_str(), F_OK) != 0) BERTH_CHECK(ip({"netns", "add", request.netns_name}));
    BERTH_CHECK(ip({"-n", request.netns_name, "link", "set", "lo", "up"}));
    return PodAttachment{{"10.99.0.7"}, path};
  }
  Result<> release(const std::string& uid) override {
    if (::access(("/run/netns/" + pod_netns_name(uid)).c_str(), F_OK) != 0) return {};
    return ip({"netns", "delete", pod_netns_name(uid)});
  }
  Result<std::vector<std::string>> list() override { return std::vector<std::string>{}; }

 private:
  static Result<> ip(std::vector<std::string> words) {
    platform::ProcessOptions options;
    options.argv = std::move(words);
    options.argv.insert(options.argv.begin(), "ip");
    BERTH_TRY(const auto result, platform::run_checked(options));
    return {};
  }
};

class TestImages : public ImageStore {
 public:
  TestImages(std::string busybox, std::string host_state, const Clock& clock)
      : busybox_(std::move(busybox)), host_(host_options(std::move(host_state)), clock) {}
  Result<ImageHandle> ensure_image(const ImageRequest& request) override {
    const std::string& reference = request.reference;
    if (reference == "host") return host_.ensure();
    if (reference != "busybox") return fail(ErrorCode::kNotFound, "no such image", reference);
    ImageHandle out;
    out.reference = reference;
    out.digest = "sha256:test";
    out.rootfs = busybox_;
    out.config.env = {"PATH=/bin", "FROM_IMAGE=1"};
    return out;
  }

 private:
  static HostImageOptions host_options(std::string state) {
    HostImageOptions out;
    out.state_dir = std::move(state);
    return out;
  }
  std::string busybox_;
  HostImage host_;
};

class TwoDevices : public DeviceSource {
 public:
  Result<std::vector<Device>> discover() override {
    std::vector<Device> out(2);
    for (size_t i = 0; i < 2; ++i) {
      out[i].resource = "example.com/gpu";
      out[i].id = fmt::format("gpu-{}", i);
      out[i].model = "Test GPU";
      out[i].memory_bytes = 1 << 30;
    }
    return out;
  }
  Result<ContainerEdits> edits_for(const std::vector<AssignedDevice>& devices) override {
    ContainerEdits out;
    std::string ids;
    for (const AssignedDevice& d : devices) ids += (ids.empty() ? "" : ",") + d.id;
    out.env = {"VISIBLE=" + (ids.empty() ? "void" : ids)};
    if (!devices.empty()) out.device_nodes = {{"/dev/gpu-test", "/dev/null", "rw"}};
    return out;
  }
};

}  // namespace berth::node::testing
