#pragma once

#include <string>

#include "apiserver/api/status.h"
#include "apiserver/storage/stored.h"
#include "objects/schema.h"
#include "objects/selector.h"

namespace berth::apiserver {

/// Which objects of a kind a list or a watch asks for.
class Selection {
 public:
  static Answer<Selection> parse(const objects::Kind& kind, const std::string& labels,
                                 const std::string& fields);

  bool everything() const { return labels_.everything() && fields_.everything(); }
  /// `object` as its kind shows it. Does not parse it where nothing is asked of it.
  bool matches(const Stored& object) const;

 private:
  objects::LabelSelector labels_;
  objects::FieldSelector fields_;
};

/// The object in the version of the API that was asked for: events are kept once and shown as both
/// `v1` and `events.k8s.io/v1`, as kube-apiserver does.
StoredPtr shown_as(const objects::Kind& kind, const StoredPtr& stored);
/// The reverse, for what is to be stored.
Json stored_form(const objects::Kind& kind, Json object);

}  // namespace berth::apiserver
