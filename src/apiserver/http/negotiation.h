#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apiserver/api/objects_api.h"
#include "apiserver/http/api_path.h"
#include "objects/json.h"
#include "objects/schema.h"
#include "objects/table.h"
#include "platform/http/message.h"

namespace berth::apiserver {

/// How a client wants objects to be shown.
enum class Form { kObject, kTable, kMetadata, kAggregatedDiscovery };

/// The best of what an `Accept` header names that this server can give: always JSON. Nothing when
/// there is none.
std::optional<Form> negotiate(std::string_view accept);

/// Objects of one kind in the form that was asked for, as JSON text.
class Presenter {
 public:
  Presenter(const objects::Kind& kind, Form form, const Address& address, const Clock& clock);

  std::string object(const Stored& stored) const;
  std::string list(const ObjectsApi::ListAnswer& answer) const;
  /// One line of a watch. `first`: the first one carries the columns of a table.
  std::string event(const ObjectsApi::Event& event, bool first) const;

 private:
  const objects::Kind* kind_;
  Form form_;
  objects::IncludeObject include_ = objects::IncludeObject::kMetadata;
  const Clock* clock_;
};

/// `metadata` of a list.
Json list_metadata(Revision revision, const std::string& continue_token,
                   std::optional<size_t> remaining);

platform::HttpResponse json_response(int status, std::string body,
                                     const std::vector<std::string>& warnings = {});
platform::HttpResponse status_response(const Status& status);

}  // namespace berth::apiserver
