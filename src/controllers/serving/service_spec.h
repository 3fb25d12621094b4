#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controllers/serving/engines/engine.h"
#include "controllers/view.h"

namespace berth::controllers {

/// One way to run a model: which devices a replica has.
struct VariantSpec {
  std::string name;         ///< empty where there is only one
  std::string accelerator;  ///< model of the device; empty: any
  std::string resource;
  int64_t count_milli = 0;  ///< devices a replica, in thousandths
  JsonObject resources;

  int64_t devices() const { return count_milli >= 1000 ? count_milli / 1000 : 0; }
};

/// A ModelService as the controller reads it; the object has its defaults.
struct ServiceSpec {
  std::string name;        ///< of the object
  std::string model_name;  ///< that requests ask for
  std::string model;       ///< absolute path, or `hf://...`
  const Engine* engine = nullptr;
  std::string image;
  std::vector<std::string> command;
  std::vector<std::string> args;
  JsonArray env;
  int64_t port = 0;
  int64_t context_tokens = 0;
  int64_t sequences = 0;
  std::vector<VariantSpec> variants;
  int64_t min = 1;
  int64_t max = 1;
  std::string objective;  ///< `ttft=2s,tpot=60ms`; empty: none
  std::string queue;
  std::string priority_class;

  static ServiceSpec read(const Object& service);

  bool is_local() const { return model.starts_with('/'); }
  /// The Deployment of a variant: `harbour`, or `harbour-small`.
  std::string deployment_name(const VariantSpec& variant) const;
  /// How many replicas of each variant there shall be, in their order: what scaling wants (in
  /// `status.desired`), each within the range; the minimum is made up of the first.
  std::vector<int64_t> wanted_replicas(const Object& service) const;
};

}  // namespace berth::controllers
