#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "controllers/kinds.h"
#include "controllers/view.h"
#include "objects/json.h"

namespace berth::controllers {

/// One change that a reconciler asks for. Writes to one object happen in the order given and stop
/// at the first that fails; writes to different objects happen side by side.
struct Write {
  enum class Verb { kCreate, kPatch, kPatchStatus, kPatchScale, kPatchResize, kDelete };

  Verb verb = Verb::kPatch;
  Key key;  ///< for a create with `generateName`, the name is empty
  /// The object to create, or a JSON merge patch. A patch with `metadata.resourceVersion` fails
  /// when somebody else changed the object first.
  Json body;
  std::string uid;  ///< deletes only this incarnation
  std::string resource_version;
  std::optional<Duration> grace;
  std::string propagation = "Background";
  /// Delete only when the server itself confirms that each of these is gone: the view may have seen
  /// a dependent before its owner. Another object of the same name but not this uid counts as gone;
  /// an empty uid means any.
  std::vector<std::pair<Key, std::string>> confirm_gone;
  /// Who gets the Event that says what became of this create or delete, or that a resize was
  /// refused; may be null.
  ObjectPtr on_behalf_of;
};

/// Something a person should see beside an object.
struct Note {
  ObjectPtr about;
  bool warning = false;
  std::string reason;
  std::string message;
};

/// What a reconciler wants done now, and when it wants to look again even if nothing changes.
struct Outcome {
  std::vector<Write> writes;
  std::vector<Note> notes;
  std::optional<Time> again_at;

  /// Keeps the earliest of the times asked for.
  void look_again(Time at);
};

Write create(Kind kind, std::string ns, Json object);
/// A merge patch that loses against a concurrent change of the object.
Write patch(const Object& object, Json change);
/// A merge patch of fields that only this controller writes.
Write patch_blind(const Object& object, Json change);
Write patch_status(const Object& object, Json status);
Write patch_status_blind(const Object& object, Json status);
/// The merge patch that turns the object's status into `wanted`, or nullopt when it is that
/// already. Top-level fields that `wanted` lacks are removed.
std::optional<Write> patch_status_to(const Object& object, const JsonObject& wanted);
/// So many replicas, through the `scale` subresource.
Write scale(const Object& object, int64_t replicas);
Write remove(const Object& object, std::string propagation = "Background");
Write drop_finalizer(const Object& object, std::string_view finalizer);

/// The owner reference by which `owner` acts for what it creates.
Json owner_reference(const Object& owner);

}  // namespace berth::controllers
