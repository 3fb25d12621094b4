#include "fuzz.h"
#include "node/cgroup/kernel_text.h"
#include "node/devices/emulated.h"
#include "node/devices/machine.h"
#include "node/images/image_config.h"
#include "node/images/reference.h"
#include "node/network/bridge_plan.h"
#include "node/network/cni.h"
#include "node/network/subnet.h"
#include "node/pod/pod_spec.h"

using namespace berth::node;

namespace {

void check_image(std::string_view text) {
  if (const auto reference = parse_image_reference(text)) {
    const auto again = parse_image_reference(reference->to_string());
    FUZZ_CHECK(again && again->to_string() == reference->to_string());
  }
  parse_image_config(text, "amd64");
}

void check_network(std::string_view text) {
  if (const auto subnet = berth::parse_subnet(text)) {
    const auto again = berth::parse_subnet(subnet->to_string());
    FUZZ_CHECK(again && *again == *subnet);
  }
  if (const auto plan = parse_bridge_plan(text, "f")) {
    const auto again = parse_bridge_plan(format_bridge_plan(*plan), "f");
    FUZZ_CHECK(again && format_bridge_plan(*again) == format_bridge_plan(*plan));
  }
  if (const auto config = parse_cni_config(text, "f")) {
    const auto again = parse_cni_config(format_cni_config(*config), "f");
    FUZZ_CHECK(again && format_cni_config(*again) == format_cni_config(*config));
  }
  parse_cni_result(text);
  subnets_in_use(routes(text), text);
}

void check_devices(std::string_view text) {
  if (const auto devices = parse_emulated_devices(text))
    FUZZ_CHECK(emulate_devices(*devices).size() == static_cast<size_t>(devices->count));
  if (const auto assigned = read_assigned_devices(text)) {
    for (const AssignedDevice& device : *assigned) FUZZ_CHECK(!device.id.empty());
  }
  parse_cpu_list(text);
}

}  // namespace

/// What the node agent reads of images, networks and devices; the first byte chooses.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  const std::string_view text = as_text(bytes + 1, size - 1);
  switch (bytes[0] % 3) {
    case 0:
      check_image(text);
      break;
    case 1:
      check_network(text);
      break;
    default:
      check_devices(text);
      break;
  }
  return 0;
}
