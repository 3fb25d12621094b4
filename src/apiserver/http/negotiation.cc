#include "apiserver/http/negotiation.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "objects/json_text.h"

namespace berth::apiserver {
namespace {

using EventType = client::WatchEvent::Type;

std::string_view type_name(EventType type) {
  switch (type) {
    case EventType::kAdded:
      return "ADDED";
    case EventType::kModified:
      return "MODIFIED";
    case EventType::kDeleted:
      return "DELETED";
    case EventType::kBookmark:
      break;
  }
  return "BOOKMARK";
}

Json metadata_only(const Json& object) {
  JsonObject partial{{"apiVersion", "meta.k8s.io/v1"}, {"kind", "PartialObjectMetadata"}};
  if (const Json* metadata = objects::find(object, {"metadata"})) partial["metadata"] = *metadata;
  return partial;
}

/// A Warning header's text must not end it early.
std::string quote_header(std::string_view text) {
  std::string out = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') out += '\\';
    out += static_cast<unsigned char>(letter) < ' ' ? ' ' : letter;
  }
  return out + '"';
}

}  // namespace

std::optional<Form> negotiate(std::string_view accept) {
  if (trim(accept).empty()) return Form::kObject;
  for (const std::string_view choice : split(accept, ',')) {
    std::string_view type;
    std::string_view as;
    for (std::string_view part : split(choice, ';')) {
      part = trim(part);
      if (type.empty()) {
        type = part;
      } else if (part.starts_with("as=")) {
        as = part.substr(3);
      }
    }
    if (type != "application/json" && type != "*/*" && type != "application/*") continue;
    if (as.empty()) return Form::kObject;
    if (as == "Table") return Form::kTable;
    if (as.starts_with("PartialObjectMetadata")) return Form::kMetadata;
    if (as == "APIGroupDiscoveryList") return Form::kAggregatedDiscovery;
  }
  return std::nullopt;
}

Presenter::Presenter(const objects::Kind& kind, Form form, const Address& address,
                     const Clock& clock)
    : kind_(&kind), form_(form), clock_(&clock) {
  const std::string_view include = address.get("includeObject");
  if (include == "Object") include_ = objects::IncludeObject::kObject;
  if (include == "None") include_ = objects::IncludeObject::kNone;
}

std::string Presenter::object(const Stored& stored) const {
  switch (form_) {
    case Form::kTable: {
      const SharedJson tree = stored.tree();
      return objects::canonical_json(objects::make_table(
          *kind_, {tree}, list_metadata(stored.revision(), "", {}), clock_->now(), include_));
    }
    case Form::kMetadata:
      return objects::canonical_json(metadata_only(*stored.tree()));
    case Form::kObject:
    case Form::kAggregatedDiscovery:
      break;
  }
  return stored.bytes();
}

std::string Presenter::list(const ObjectsApi::ListAnswer& answer) const {
  Json metadata = list_metadata(answer.revision, answer.continue_token, answer.remaining);
  if (form_ == Form::kTable) {
    std::vector<SharedJson> trees;
    trees.reserve(answer.items.size());
    for (const StoredPtr& item : answer.items) trees.push_back(item->tree());
    return objects::canonical_json(
        objects::make_table(*kind_, trees, std::move(metadata), clock_->now(), include_));
  }
  const bool partial = form_ == Form::kMetadata;
  std::string text = fmt::format(R"({{"kind":"{}List","apiVersion":"{}","metadata":{},"items":[)",
                                 partial ? "PartialObjectMetadata" : std::string(kind_->kind),
                                 partial ? "meta.k8s.io/v1" : kind_->api_version(),
                                 objects::canonical_json(metadata));
  size_t size = text.size() + 2;
  for (const StoredPtr& item : answer.items) size += item->bytes().size() + 1;
  text.reserve(size);
  bool first = true;
  for (const StoredPtr& item : answer.items) {
    if (!first) text += ',';
    first = false;
    text += object(*item);
  }
  text += "]}\n";
  return text;
}

std::string Presenter::event(const ObjectsApi::Event& event, bool first) const {
  std::string body;
  if (event.object == nullptr) {
    Json mark = ObjectsApi::bookmark(*kind_, event.revision, event.end_of_initial);
    if (form_ == Form::kTable) {
      Json row_object = metadata_only(mark);
      Json table = objects::make_table(*kind_, {}, list_metadata(event.revision, "", {}),
                                       clock_->now(), include_, first);
      table.as_object()["rows"] =
          JsonArray{JsonObject{{"cells", JsonArray()}, {"object", std::move(row_object)}}};
      mark = std::move(table);
    } else if (form_ == Form::kMetadata) {
      mark = metadata_only(mark);
    }
    body = objects::canonical_json(mark);
  } else if (form_ == Form::kTable) {
    body = objects::canonical_json(objects::make_table(*kind_, {event.object->tree()},
                                                       list_metadata(event.revision, "", {}),
                                                       clock_->now(), include_, first));
  } else {
    body = object(*event.object);
  }
  return fmt::format(R"({{"type":"{}","object":{}}})"
                     "\n",
                     type_name(event.type), body);
}

Json list_metadata(Revision revision, const std::string& continue_token,
                   std::optional<size_t> remaining) {
  JsonObject metadata{{"resourceVersion", std::to_string(revision)}};
  if (!continue_token.empty()) metadata["continue"] = continue_token;
  if (remaining) metadata["remainingItemCount"] = *remaining;
  return metadata;
}

platform::HttpResponse json_response(int status, std::string body,
                                     const std::vector<std::string>& warnings) {
  platform::HttpResponse response;
  response.status = status;
  response.headers.add("Content-Type", "application/json");
  response.headers.add("Cache-Control", "no-cache, private");
  for (const std::string& warning : warnings) {
    response.headers.add("Warning", "299 - " + quote_header(warning));
  }
  response.body = std::move(body);
  return response;
}

platform::HttpResponse status_response(const Status& status) {
  platform::HttpResponse response =
      json_response(status.code, objects::canonical_json(status.to_json()) + "\n");
  if (status.retry_after_s > 0) {
    response.headers.add("Retry-After", std::to_string(status.retry_after_s));
  }
  return response;
}

}  // namespace berth::apiserver
