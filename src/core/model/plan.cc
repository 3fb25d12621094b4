#include "core/model/plan.h"

namespace berth::core {

std::string_view to_string(EvictReason reason) {
  switch (reason) {
    case EvictReason::kPriority:
      return "Priority";
    case EvictReason::kReclaim:
      return "Reclaim";
    case EvictReason::kBackfill:
      return "Backfill";
    case EvictReason::kGangIncomplete:
      return "GangIncomplete";
    case EvictReason::kGangBroken:
      return "GangBroken";
    case EvictReason::kConsolidation:
      return "Consolidation";
    case EvictReason::kNodeGone:
      return "NodeGone";
    case EvictReason::kOversubscribed:
      return "Oversubscribed";
    case EvictReason::kBudget:
      return "Budget";
    case EvictReason::kTurn:
      return "Turn";
  }
  return "";
}

std::string_view to_string(ReasonCode code) {
  switch (code) {
    case ReasonCode::kNever:
      return "Never";
    case ReasonCode::kNoNodes:
      return "NoNodes";
    case ReasonCode::kInsufficient:
      return "Insufficient";
    case ReasonCode::kGangIncomplete:
      return "GangIncomplete";
    case ReasonCode::kGated:
      return "Gated";
    case ReasonCode::kQueueMissing:
      return "QueueMissing";
    case ReasonCode::kQueueLimit:
      return "QueueLimit";
    case ReasonCode::kNotGuaranteed:
      return "NotGuaranteed";
    case ReasonCode::kClaimed:
      return "Claimed";
    case ReasonCode::kReserved:
      return "Reserved";
    case ReasonCode::kBehind:
      return "Behind";
    case ReasonCode::kProtected:
      return "Protected";
    case ReasonCode::kDisruptionBudget:
      return "DisruptionBudget";
    case ReasonCode::kBudget:
      return "Budget";
    case ReasonCode::kGrowth:
      return "Growth";
    case ReasonCode::kTurn:
      return "Turn";
  }
  return "";
}

std::string_view to_string(Constraint constraint) {
  switch (constraint) {
    case Constraint::kNotReady:
      return "not ready";
    case Constraint::kUnschedulable:
      return "cordoned";
    case Constraint::kTaint:
      return "tainted";
    case Constraint::kNodeSelector:
      return "not matching nodeSelector";
    case Constraint::kNodeAffinity:
      return "not matching node affinity";
    case Constraint::kTaskAffinity:
      return "against pod affinity or anti-affinity";
    case Constraint::kSpread:
      return "against topology spread";
    case Constraint::kHostPort:
      return "without a free host port";
    case Constraint::kTopology:
      return "outside the gang's topology domain";
    case Constraint::kDeviceModel:
      return "without an allowed device model";
    case Constraint::kDeviceBusy:
      return "with devices busy or unhealthy";
    case Constraint::kDevices:
      return "without enough free devices";
    case Constraint::kDeviceMemory:
      return "without enough device memory";
    case Constraint::kExtendedResource:
      return "short of an extended resource";
    case Constraint::kCpu:
      return "short of CPU";
    case Constraint::kMemory:
      return "short of memory";
    case Constraint::kEphemeralStorage:
      return "short of ephemeral storage";
    case Constraint::kPods:
      return "full of pods";
    case Constraint::kClaimed:
      return "claimed or reserved for others";
    case Constraint::kCount:
      break;
  }
  return "";
}

std::string describe(const Rejections& rejections) {
  uint32_t rejected = 0;
  std::string parts;
  for (size_t i = 0; i < rejections.nodes.size(); ++i) {
    const uint32_t count = rejections.nodes[i];
    if (count == 0) continue;
    rejected += count;
    parts += parts.empty() ? ": " : ", ";
    parts += std::to_string(count) + " " + std::string(to_string(static_cast<Constraint>(i)));
  }
  return std::to_string(rejections.total - std::min(rejected, rejections.total)) + "/" +
         std::to_string(rejections.total) + " nodes are available" + parts;
}

}  // namespace berth::core
