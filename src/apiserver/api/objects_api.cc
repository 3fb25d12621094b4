#include "apiserver/api/objects_api.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "apiserver/api/admission.h"
#include "apiserver/api/quota.h"
#include "apiserver/api/resize.h"
#include "apiserver/api/scale.h"
#include "apiserver/api/selection.h"
#include "apiserver/api/tenancy.h"
#include "objects/json_text.h"
#include "objects/patch.h"
#include "platform/tls/crypto.h"

namespace berth::apiserver {
namespace {

using objects::find_int;
using objects::find_string;
using EventType = client::WatchEvent::Type;

/// Where a list was cut: the revision that it shows, and the last object that it gave.
struct Continuation {
  Revision revision = 0;
  std::string ns;
  std::string name;
};

std::string encode(const Continuation& at) {
  return platform::base64(
      objects::canonical_json(JsonObject{{"rv", at.revision}, {"ns", at.ns}, {"name", at.name}}));
}

Answer<Continuation> decode(const std::string& token) {
  const auto bytes = platform::from_base64(token);
  const auto parsed = bytes ? objects::parse_json(*bytes) : fail(ErrorCode::kInvalid, "");
  if (!parsed || find_int(parsed->value, {"rv"}) <= 0) {
    return bad_request("continue token is not valid");
  }
  return Continuation{find_int(parsed->value, {"rv"}),
                      std::string(find_string(parsed->value, {"ns"})),
                      std::string(find_string(parsed->value, {"name"}))};
}

std::unexpected<Status> storage_failure(const Error& error) {
  auto failed = from_error(error);
  if (error.code == ErrorCode::kUnavailable && !error.where.empty()) {
    failed.error().code = 507;
    failed.error().reason = "InsufficientStorage";
  }
  return failed;
}

bool wants_namespace(const Subject& subject) {
  return subject.kind->namespaced && subject.ns.empty();
}

}  // namespace

std::string resource_of(const objects::Kind& kind) {
  if (kind.group == "events.k8s.io") return "events";
  return qualified_plural(kind);
}

StoreKey key_of(const Subject& subject) {
  return {resource_of(*subject.kind), subject.ns, subject.name};
}

ObjectsApi::ObjectsApi(Store& store, const objects::Registry& registry, const Clock& clock,
                       const Subnet& services)
    : store_(store), registry_(registry), clock_(clock), services_(services) {}

// --- reading ---

Answer<StoredPtr> ObjectsApi::get(const Subject& subject) const {
  const StoredPtr stored = store_.get(key_of(subject));
  if (!stored) return not_found(*subject.kind, subject.name);
  return shown_as(*subject.kind, stored);
}

Answer<SharedJson> ObjectsApi::read(const Subject& subject) const {
  const auto stored = get(subject);
  if (!stored) return std::unexpected(stored.error());
  if (subject.subresource != "scale") return (*stored)->tree();
  return std::make_shared<const Json>(scale_of(*subject.kind, *(*stored)->tree()));
}

Answer<ObjectsApi::ListAnswer> ObjectsApi::list(const Subject& subject,
                                                const ListRequest& request) const {
  const objects::Kind& kind = *subject.kind;
  auto selected = Selection::parse(kind, request.label_selector, request.field_selector);
  if (!selected) return std::unexpected(std::move(selected).error());
  if (request.limit < 0) return bad_request("limit must not be negative");

  Store::ListQuery query;
  query.resource = resource_of(kind);
  query.ns = subject.ns;
  query.limit = static_cast<size_t>(request.limit);
  if (!selected->everything()) {
    query.accept = [&](const StoredPtr& stored) {
      return selected->matches(*shown_as(kind, stored));
    };
  }
  if (!request.continue_token.empty()) {
    auto at = decode(request.continue_token);
    if (!at) return std::unexpected(std::move(at).error());
    query.revision = at->revision;
    query.after = {at->ns, at->name};
  } else if (!request.resource_version.empty() && request.resource_version != "0") {
    Revision revision = 0;
    const std::string& text = request.resource_version;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), revision);
    if (code != std::errc() || end != text.data() + text.size() || revision < 0) {
      return bad_request(fmt::format("resourceVersion `{}` is not a number", text));
    }
    if (revision > store_.revision()) {
      Status status = Status::of(
          504, "Timeout",
          fmt::format("Too large resource version: {}, current: {}", revision, store_.revision()));
      status.retry_after_s = 1;
      status.causes = {{"ResourceVersionTooLarge", "Too large resource version", ""}};
      return std::unexpected(std::move(status));
    }
    if (request.resource_version_match == "Exact") query.revision = revision;
  }
  auto snapshot = store_.list(query);
  if (!snapshot) {
    if (snapshot.error().code == ErrorCode::kGone) {
      return expired(
          "The provided continue parameter is too old to display a consistent list "
          "result. You must start a new list without the continue parameter.");
    }
    return from_error(snapshot.error());
  }
  ListAnswer answer;
  answer.revision = snapshot->revision;
  if (snapshot->more) {
    const StoreKey& last = snapshot->items.back().key;
    answer.continue_token = encode({snapshot->revision, last.ns, last.name});
    if (selected->everything()) answer.remaining = snapshot->remaining;
  }
  answer.items.reserve(snapshot->items.size());
  for (Store::Item& item : snapshot->items) {
    answer.items.push_back(shown_as(kind, item.object));
  }
  return answer;
}

Answer<std::unique_ptr<Store::Subscription>> ObjectsApi::watch(
    const Subject& subject, const WatchRequest& request,
    const std::function<void(const Event&)>& on_event) {
  auto parsed = Selection::parse(*subject.kind, request.label_selector, request.field_selector);
  if (!parsed) return std::unexpected(std::move(parsed).error());
  const auto selected = std::make_shared<const Selection>(*std::move(parsed));
  const objects::Kind* kind = subject.kind;
  const auto matches = [selected, kind, name = request.name](const StoreKey& key,
                                                             const StoredPtr& object) {
    if (!name.empty() && key.name != name) return false;
    return selected->everything() || selected->matches(*shown_as(*kind, object));
  };
  Store::Listener listener;
  listener.on_change = [matches, kind, on_event](const ChangePtr& change) {
    const bool now = change->type != Change::Type::kDeleted && matches(change->key, change->object);
    // Of the oldest history the state before may be lost: whoever watches may have had it.
    const bool before = change->before ? matches(change->key, change->before)
                                       : change->type != Change::Type::kAdded;
    if (!now && !before) return;
    const EventType type = now && before ? EventType::kModified
                           : now         ? EventType::kAdded
                                         : EventType::kDeleted;
    on_event({type, shown_as(*kind, change->object), change->revision(), false});
  };
  if (request.initial_events) {
    listener.on_snapshot = [matches, kind, on_event,
                            end = request.end_of_initial](const Store::Snapshot& snapshot) {
      for (const Store::Item& item : snapshot.items) {
        if (!matches(item.key, item.object)) continue;
        on_event({EventType::kAdded, shown_as(*kind, item.object), item.object->revision(), false});
      }
      if (end) on_event({EventType::kBookmark, nullptr, snapshot.revision, true});
    };
  }
  auto subscription =
      store_.subscribe(resource_of(*kind), subject.ns, request.initial_events ? 0 : request.since,
                       std::move(listener));
  if (!subscription) return from_error(subscription.error());
  return *std::move(subscription);
}

Json ObjectsApi::bookmark(const objects::Kind& kind, Revision revision, bool end_of_initial) {
  JsonObject metadata{{"resourceVersion", std::to_string(revision)}};
  if (end_of_initial) {
    metadata["annotations"] = JsonObject{{"k8s.io/initial-events-end", "true"}};
  }
  return JsonObject{
      {"apiVersion", kind.api_version()}, {"kind", kind.kind}, {"metadata", std::move(metadata)}};
}

// --- writing ---

void ObjectsApi::run(Work work, bool dry_run, Done done) {
  const auto answer = std::make_shared<Answer<Written>>();
  store_.write(
      [answer, work = std::move(work), dry_run](Transaction& transaction) {
        *answer = work(transaction);
        return answer->has_value() && !dry_run;
      },
      [answer, done = std::move(done)](const Result<>& kept) {
        if (!kept && *answer) {
          done(storage_failure(kept.error()));
        } else {
          done(std::move(*answer));
        }
      });
}

Answer<StoredPtr> ObjectsApi::find(const Transaction& transaction, const Subject& subject) const {
  StoredPtr stored = transaction.get(key_of(subject));
  if (!stored) return not_found(*subject.kind, subject.name);
  return stored;
}

void ObjectsApi::create(Subject subject, Body body, WriteContext context, Done done) {
  if (wants_namespace(subject)) {
    return done(bad_request("an empty namespace may not be set during creation"));
  }
  const bool is_binding = subject.subresource == "binding";
  if (is_binding || subject.subresource == "eviction") {
    auto work = [this, subject, value = std::move(body.value),
                 is_binding](Transaction& transaction) {
      return is_binding ? bind(transaction, subject, value) : evict(transaction, subject, value);
    };
    return run(std::move(work), context.dry_run, std::move(done));
  }
  if (!subject.subresource.empty()) return done(method_not_allowed("POST"));

  std::vector<std::string> warnings;
  auto object = new_object(subject, std::move(body), context, clock_.now(), warnings);
  if (!object) return done(std::unexpected(std::move(object).error()));
  subject.name = objects::name_of(*object);
  const bool dry_run = context.dry_run;
  run(
      [this, subject, context = std::move(context), object = *std::move(object),
       warnings = std::move(warnings)](Transaction& transaction) {
        auto written = create_in(transaction, subject, object, context);
        if (written) written->warnings = warnings;
        return written;
      },
      dry_run, std::move(done));
}

Answer<Written> ObjectsApi::create_in(Transaction& transaction, const Subject& subject, Json object,
                                      const WriteContext& context) {
  const StoreKey key = key_of(subject);
  if (transaction.get(key)) return already_exists(*subject.kind, subject.name);
  if (auto admitted = admit_new(transaction, subject, object, context, {clock_.now(), services_});
      !admitted) {
    return std::unexpected(std::move(admitted).error());
  }
  if (auto charged = charge_quota(transaction, subject, object); !charged) {
    return std::unexpected(std::move(charged).error());
  }
  const SharedJson held = transaction.put(key, stored_form(*subject.kind, std::move(object)));
  if (subject.kind->kind == "ResourceQuota") refresh_quotas(transaction, subject.ns);
  return Written{shown_as(*subject.kind, transaction.get(key))->tree(), true, {}};
}

Answer<Written> ObjectsApi::store_update(Transaction& transaction, const Subject& subject,
                                         const StoredPtr& before, Body body,
                                         const WriteContext& context) {
  const StoredPtr shown = shown_as(*subject.kind, before);
  const SharedJson before_tree = shown->tree();
  Written written;
  auto object = next_object(subject, *before_tree, std::move(body), context, written.warnings);
  if (!object) return std::unexpected(std::move(object).error());
  const StoreKey key = key_of(subject);
  if (deletion_is_complete(*subject.kind, *object)) {
    written.object = transaction.remove(key, stored_form(*subject.kind, *std::move(object)));
    if (changes_quota(*subject.kind, *before_tree, nullptr)) {
      refresh_quotas(transaction, subject.ns);
    }
    return written;
  }
  if (*object == *before_tree) {
    written.object = before_tree;
    return written;
  }
  if (auto allowed = check_tenant(transaction, subject, &*before_tree, *object, context.caller);
      !allowed) {
    return std::unexpected(std::move(allowed).error());
  }
  if (subject.subresource == "resize") {
    auto allowed = check_growth(transaction, subject, *before_tree, *object);
    if (allowed) allowed = charge_quota(transaction, subject, *object, &*before_tree);
    if (!allowed) return std::unexpected(std::move(allowed).error());
  }
  const bool refresh = changes_quota(*subject.kind, *before_tree, &*object);
  written.object = transaction.put(key, stored_form(*subject.kind, *std::move(object)));
  if (refresh) refresh_quotas(transaction, subject.ns);
  written.object = shown_as(*subject.kind, transaction.get(key))->tree();
  return written;
}

void ObjectsApi::update(Subject subject, Body body, WriteContext context, Done done) {
  const bool dry_run = context.dry_run;
  auto work = [this, subject = std::move(subject), body = std::move(body),
               context = std::move(context)](Transaction& transaction) -> Answer<Written> {
    auto before = find(transaction, subject);
    if (!before) {
      // Leases and a few others may be made by PUT in Kubernetes; no client of ours needs it.
      return std::unexpected(std::move(before).error());
    }
    if (subject.subresource == "scale") {
      return rescale(transaction, subject, *(*before)->tree(), body.value, context);
    }
    return store_update(transaction, subject, *before, body, context);
  };
  run(std::move(work), dry_run, std::move(done));
}

void ObjectsApi::patch(Subject subject, client::PatchType type, Json patch, WriteContext context,
                       Done done) {
  if (type == client::PatchType::kApply) {
    return done(unsupported_media_type(
        "server-side apply is not served yet: use `kubectl apply` without --server-side, or a "
        "strategic merge patch"));
  }
  const bool dry_run = context.dry_run;
  auto work = [this, subject = std::move(subject), type, patch = std::move(patch),
               context = std::move(context)](Transaction& transaction) -> Answer<Written> {
    auto before = find(transaction, subject);
    if (!before) return std::unexpected(std::move(before).error());
    const SharedJson before_tree = shown_as(*subject.kind, *before)->tree();
    const bool scale = subject.subresource == "scale";
    const objects::Kind* kind = subject.kind;
    Json object = *before_tree;
    if (scale) {
      object = scale_of(*subject.kind, *before_tree);
      kind = registry_.find_kind("autoscaling/v1", "Scale");
    }
    Result<> applied;
    if (type == client::PatchType::kJson) {
      applied = objects::apply_json_patch(object, patch);
    } else if (!patch.is_object()) {
      return bad_request("a merge patch is a JSON object");
    } else if (type == client::PatchType::kMerge || kind == nullptr) {
      objects::apply_merge_patch(object, patch);
    } else {
      applied = objects::apply_strategic_merge_patch(*kind, object, patch);
    }
    if (!applied) {
      Status status = bad_request(applied.error().to_string()).error();
      if (type == client::PatchType::kJson) status.code = 422, status.reason = "Invalid";
      return std::unexpected(std::move(status));
    }
    if (scale) return rescale(transaction, subject, *before_tree, object, context);
    return store_update(transaction, subject, *before, Body{std::move(object), {}}, context);
  };
  run(std::move(work), dry_run, std::move(done));
}

Answer<Written> ObjectsApi::rescale(Transaction& transaction, const Subject& subject,
                                    const Json& before, const Json& scale,
                                    const WriteContext& context) {
  auto object = with_scale(subject, before, scale);
  if (!object) return std::unexpected(std::move(object).error());
  Subject parent = subject;
  parent.subresource.clear();
  auto written = store_update(transaction, parent, transaction.get(key_of(parent)),
                              Body{*std::move(object), {}}, context);
  if (!written) return written;
  written->object = std::make_shared<const Json>(scale_of(*subject.kind, *written->object));
  return written;
}

// --- deleting ---

Answer<Written> ObjectsApi::store_deletion(Transaction& transaction, const Subject& subject,
                                           const StoredPtr& before, const Deletion& deletion) {
  const SharedJson tree = before->tree();
  auto step = deletion_step(subject, *tree, deletion, clock_.now());
  if (!step) return std::unexpected(std::move(step).error());
  if (!step->gone) {
    if (step->object == *tree) return Written{tree, false, {}};
    return Written{transaction.put(key_of(subject), std::move(step->object)), false, {}};
  }
  const SharedJson last = transaction.remove(key_of(subject), std::move(step->object));
  if (changes_quota(*subject.kind, *tree, nullptr)) refresh_quotas(transaction, subject.ns);
  if (subject.kind->kind == "Pod") return Written{last, false, {}};
  return Written{std::make_shared<const Json>(
                     success_status(*subject.kind, subject.name, objects::uid_of(*tree))),
                 false,
                 {}};
}

void ObjectsApi::remove(Subject subject, Deletion deletion, Done done) {
  const bool dry_run = deletion.dry_run;
  auto work = [this, subject = std::move(subject),
               deletion = std::move(deletion)](Transaction& transaction) -> Answer<Written> {
    auto before = find(transaction, subject);
    if (!before) return std::unexpected(std::move(before).error());
    return store_deletion(transaction, subject, *before, deletion);
  };
  run(std::move(work), dry_run, std::move(done));
}

void ObjectsApi::remove_all(Subject subject, ListRequest request, Deletion deletion, Done done) {
  auto parsed = Selection::parse(*subject.kind, request.label_selector, request.field_selector);
  if (!parsed) return done(std::unexpected(std::move(parsed).error()));
  const bool dry_run = deletion.dry_run;
  auto work = [this, subject = std::move(subject), selected = *std::move(parsed),
               deletion = std::move(deletion)](Transaction& transaction) -> Answer<Written> {
    std::vector<Store::Item> chosen;
    transaction.for_each(resource_of(*subject.kind), subject.ns,
                         [&](const StoreKey& key, const StoredPtr& stored) {
                           if (selected.matches(*shown_as(*subject.kind, stored))) {
                             chosen.push_back({key, stored});
                           }
                           return true;
                         });
    JsonArray items;
    for (const Store::Item& item : chosen) {
      Subject one = subject;
      one.ns = item.key.ns;
      one.name = item.key.name;
      auto written = store_deletion(transaction, one, item.object, deletion);
      if (!written) return written;
      items.push_back(*shown_as(*subject.kind, item.object)->tree());
    }
    return Written{
        std::make_shared<const Json>(JsonObject{{"apiVersion", subject.kind->api_version()},
                                                {"kind", std::string(subject.kind->kind) + "List"},
                                                {"metadata", JsonObject()},
                                                {"items", std::move(items)}}),
        false,
        {}};
  };
  run(std::move(work), dry_run, std::move(done));
}

}  // namespace berth::apiserver
