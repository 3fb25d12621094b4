#pragma once

#include <cstdint>
#include <string>

#include "base/time.h"
#include "client/api_client.h"
#include "node/cgroup/cgroup_tree.h"
#include "node/devices/device_source.h"
#include "node/event_recorder.h"
#include "node/images/image_store.h"
#include "node/network/pod_network.h"
#include "node/pod/container_setup.h"
#include "node/pod/env.h"
#include "node/pod/volumes.h"
#include "node/runtime/container_runtime.h"
#include "node/work_pool.h"
#include "platform/event_loop.h"

namespace berth::node {

/// What all pods of a node share. Everything outlives every pod.
struct NodeContext {
  const Clock& clock;
  platform::EventLoop& loop;
  client::ApiClient& api;
  PodNetwork& network;
  ImageStore& images;
  DeviceSource& devices;
  const ContainerRuntime& runtime;
  const CgroupTree& cgroups;
  const HostAbilities& host;
  EventRecorder& events;
  WorkPool& work;    ///< runc, CNI, mounts
  WorkPool& probes;  ///< probes and hooks, so that slow ones hold up nothing else
  std::string data_dir;
  std::string cgroup_root;
  PodSurroundings surroundings;  ///< without the pod's own addresses
  VolumeOptions volumes;
  int64_t pids_per_pod = 0;
};

}  // namespace berth::node
