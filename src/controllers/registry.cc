#include <array>

#include "controllers/controller.h"
#include "controllers/scaling/scaling.h"
#include "controllers/scaling/vertical/sizing.h"
#include "controllers/services/endpoint_slices.h"
#include "controllers/serving/model_service.h"
#include "controllers/upkeep/disruption_budget.h"
#include "controllers/upkeep/garbage.h"
#include "controllers/upkeep/lost_pods.h"
#include "controllers/upkeep/pod_group.h"
#include "controllers/workloads/deployment.h"
#include "controllers/workloads/job.h"
#include "controllers/workloads/replica_set.h"

namespace berth::controllers {

std::span<const Controller* const> all_controllers() {
  static const std::array kControllers = {
      &kJob,      &kReplicaSet,     &kDeployment,   &kPodGroup, &kDisruptionBudget, &kGarbage,
      &kLostPods, &kEndpointSlices, &kModelService, &kScaling,  &kSizing,
  };
  return kControllers;
}

}  // namespace berth::controllers
