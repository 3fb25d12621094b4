#include "control/event_json.h"

#include <concepts>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

namespace berth::control {
namespace {

using namespace core;  // NOLINT
using boost::json::array;
using boost::json::object;
using boost::json::value;

// The fields of each structure, once for both directions: `f("name", &Type::member)`.
template <class T>
struct Fields;

#define BERTH_FIELDS(type, ...)                   \
  template <>                                     \
  struct Fields<type> {                           \
    using T = type;                               \
    static void each([[maybe_unused]] auto&& f) { \
      __VA_ARGS__                                 \
    }                                             \
  }
#define F(member) f(#member, &T::member);

BERTH_FIELDS(Resources, F(cpu_milli) F(memory_bytes) F(ephemeral_bytes) F(pods));
BERTH_FIELDS(BasicExpression<std::string>, F(key) F(op) F(values));
BERTH_FIELDS(BasicTerm<std::string>, F(all) F(weight));
BERTH_FIELDS(BasicTaint<std::string>, F(key) F(value) F(effect));
BERTH_FIELDS(BasicToleration<std::string>,
             F(key) F(any_key) F(exists) F(value) F(any_effect) F(effect));
BERTH_FIELDS(BasicTaskAffinity<std::string>,
             F(anti) F(required) F(weight) F(topology_key) F(selector) F(namespaces));
BERTH_FIELDS(BasicSpread<std::string>, F(topology_key) F(max_skew) F(required) F(selector) F(ns));
BERTH_FIELDS(BasicNodeFilter<std::string>,
             F(selector) F(affinity) F(preferred) F(tolerations) F(tasks) F(spread) F(host_ports));
BERTH_FIELDS(BasicDeviceRequest<std::string>, F(resource) F(count) F(milli) F(memory_bytes)
                                                  F(models) F(same_link_domain) F(same_numa));
BERTH_FIELDS(BasicCountedRequest<std::string>, F(resource) F(amount));
BERTH_FIELDS(ShapeSpec, F(request) F(devices) F(counted) F(filter));
BERTH_FIELDS(DeviceSpec,
             F(id) F(resource) F(model) F(link_domain) F(memory_bytes) F(numa) F(healthy) F(busy));
BERTH_FIELDS(CountedSpec, F(resource) F(model) F(capacity) F(accelerator));
BERTH_FIELDS(QuotaSpec::Row, F(key) F(milli));
BERTH_FIELDS(QuotaSpec, F(cpu_milli) F(memory_bytes) F(accelerators));
BERTH_FIELDS(QueueTimes, F(reclaim_delay) F(protection) F(replace_timeout));
BERTH_FIELDS(QueueBudget, F(spent) F(preempts) F(amount) F(until));
BERTH_FIELDS(NodeSample, F(node) F(cpu_permille) F(memory_permille) F(device_permille));

BERTH_FIELDS(Tick, F(now));
BERTH_FIELDS(NodeUpsert, F(name) F(capacity) F(devices) F(counted) F(labels) F(taints)
                             F(unschedulable) F(ready));
BERTH_FIELDS(NodeRemove, F(name));
BERTH_FIELDS(UsageWindow, F(samples));
BERTH_FIELDS(QueueUpsert, F(name) F(parent) F(weight_milli) F(guaranteed) F(limit) F(reclaim)
                              F(times) F(budget));
BERTH_FIELDS(QueueRemove, F(name));
BERTH_FIELDS(GangUpsert, F(name) F(queue) F(priority) F(min) F(max) F(topology_key)
                             F(topology_required) F(created) F(timeout));
BERTH_FIELDS(GangRemove, F(name));
BERTH_FIELDS(TaskUpsert,
             F(name) F(ns) F(gang) F(queue) F(managed) F(gated) F(preemptible) F(restartable)
                 F(backfilled) F(priority) F(growth_micro) F(shape) F(labels) F(created) F(owner)
                     F(expected_duration) F(last_checkpoint) F(phase) F(node) F(devices) F(started)
                         F(grace) F(release_by) F(released_for));
BERTH_FIELDS(TaskRemove, F(name) F(completed));
BERTH_FIELDS(BindDone, F(task) F(ok));
BERTH_FIELDS(RoundsPolicy, F(policy) F(length) F(restart_cost));
BERTH_FIELDS(PolicySet, F(profile) F(accelerator_weights_milli) F(default_times) F(lost_work_cap)
                            F(intent_timeout) F(usage_half_life) F(consolidate) F(rounds));
BERTH_FIELDS(QueueUsage, F(queue) F(decayed) F(as_of));
BERTH_FIELDS(OwnerDurations, F(owner) F(milliseconds) F(queue));
BERTH_FIELDS(DisruptionBudgetUpsert, F(name) F(ns) F(selector) F(allowed));
BERTH_FIELDS(DisruptionBudgetRemove, F(name));
BERTH_FIELDS(PlanCommit, F(plan) F(actions));

BERTH_FIELDS(PlaceSpec, F(task) F(node) F(devices));
BERTH_FIELDS(Bind, F(place) F(backfilled));
BERTH_FIELDS(Evict, F(task) F(reason) F(beneficiary));
BERTH_FIELDS(PersistIntent, F(gang) F(plan) F(members));
BERTH_FIELDS(ClearIntent, F(gang));
BERTH_FIELDS(core::Claim, F(gang) F(reservation) F(members) F(expires) F(start));
BERTH_FIELDS(Unclaim, F(gang));
BERTH_FIELDS(MarkBlocked, F(gang) F(since));
BERTH_FIELDS(MarkBroken, F(gang) F(since));
BERTH_FIELDS(BeginRound, F(at));
BERTH_FIELDS(Reason, F(code) F(text));
BERTH_FIELDS(Rejections, F(nodes) F(total));
BERTH_FIELDS(Waiting, F(gang) F(reasons) F(rejections) F(placeable) F(position));
BERTH_FIELDS(Plan, F(id) F(actions) F(waiting) F(next_wakeup));

#undef F
#undef BERTH_FIELDS

constexpr const char* kEventKinds[] = {"tick",
                                       "node",
                                       "nodeRemove",
                                       "usage",
                                       "queue",
                                       "queueRemove",
                                       "gang",
                                       "gangRemove",
                                       "task",
                                       "taskRemove",
                                       "bindDone",
                                       "policy",
                                       "commit",
                                       "queueUsage",
                                       "ownerDurations",
                                       "disruptionBudget",
                                       "disruptionBudgetRemove"};
static_assert(std::size(kEventKinds) == std::variant_size_v<Event>);
constexpr const char* kActionKinds[] = {"bind",        "evict",      "persistIntent",
                                        "clearIntent", "claim",      "unclaim",
                                        "markBlocked", "markBroken", "beginRound"};
static_assert(std::size(kActionKinds) == std::variant_size_v<Action>);

/// Thrown inside, caught at this file's edge.
struct Malformed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class T>
concept Structure = requires { typename Fields<T>::T; };

// --- writing ---

value write(bool x) {
  return x;
}
value write(const std::string& x) {
  return value(x);
}
value write(Time x) {
  return x.ns;
}
value write(Duration x) {
  return x.ns;
}
template <std::integral T>
value write(T x) {
  return static_cast<std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>(x);
}
template <class T>
  requires std::is_enum_v<T>
value write(T x) {
  return static_cast<int64_t>(x);
}
template <Structure T>
value write(const T& x);
template <class... Kinds>
value write(const std::variant<Kinds...>& x);
template <class A, class B>
value write(const std::pair<A, B>& x) {
  return array{write(x.first), write(x.second)};
}
template <class T>
value write(const std::optional<T>& x) {
  return x ? write(*x) : value(nullptr);
}
template <class T>
value write(const std::vector<T>& x) {
  array list;
  list.reserve(x.size());
  for (const T& item : x) list.push_back(write(item));
  return list;
}
template <class T, size_t n>
value write(const std::array<T, n>& x) {
  array list;
  for (const T& item : x) list.push_back(write(item));
  return list;
}
template <Structure T>
value write(const T& x) {
  [[maybe_unused]] static const T kDefaults{};
  object fields;
  Fields<T>::each([&](const char* name, auto member) {
    if (!(x.*member == kDefaults.*member)) fields[name] = write(x.*member);
  });
  return fields;
}
template <class... Kinds>
value write(const std::variant<Kinds...>& x) {
  constexpr bool is_event = std::is_same_v<std::variant<Kinds...>, Event>;
  const char* kind = is_event ? kEventKinds[x.index()] : kActionKinds[x.index()];
  return std::visit([&](const auto& content) { return value(object{{kind, write(content)}}); }, x);
}

// --- reading ---

void read(const value& json, bool& x) {
  x = json.as_bool();
}
void read(const value& json, std::string& x) {
  x = json.as_string();
}
void read(const value& json, Time& x) {
  x.ns = json.to_number<int64_t>();
}
void read(const value& json, Duration& x) {
  x.ns = json.to_number<int64_t>();
}
template <std::integral T>
void read(const value& json, T& x) {
  x = json.to_number<T>();
}
template <class T>
  requires std::is_enum_v<T>
void read(const value& json, T& x) {
  x = static_cast<T>(json.to_number<std::underlying_type_t<T>>());
}
template <Structure T>
void read(const value& json, T& x);
template <class... Kinds>
void read(const value& json, std::variant<Kinds...>& x);
template <class A, class B>
void read(const value& json, std::pair<A, B>& x) {
  read(json.as_array().at(0), x.first);
  read(json.as_array().at(1), x.second);
}
template <class T>
void read(const value& json, std::optional<T>& x) {
  if (json.is_null())
    x.reset();
  else
    read(json, x.emplace());
}
template <class T>
void read(const value& json, std::vector<T>& x) {
  x.clear();
  for (const value& item : json.as_array()) read(item, x.emplace_back());
}
template <class T, size_t n>
void read(const value& json, std::array<T, n>& x) {
  const array& list = json.as_array();
  for (size_t i = 0; i < n && i < list.size(); ++i) read(list[i], x[i]);
}
template <Structure T>
void read(const value& json, T& x) {
  const object& fields = json.as_object();
  size_t known = 0;
  Fields<T>::each([&](const char* name, auto member) {
    if (const value* field = fields.if_contains(name)) {
      read(*field, x.*member);
      ++known;
    }
  });
  if (known != fields.size()) throw Malformed("a field that this build does not know");
}
template <class... Kinds>
void read(const value& json, std::variant<Kinds...>& x) {
  constexpr bool is_event = std::is_same_v<std::variant<Kinds...>, Event>;
  const object& outer = json.as_object();
  if (outer.size() != 1) throw Malformed("not one kind");
  size_t index = 0;
  bool found = false;
  const auto attempt = [&]<class Kind>(std::type_identity<Kind>) {
    const char* kind = is_event ? kEventKinds[index] : kActionKinds[index];
    ++index;
    if (found || outer.begin()->key() != kind) return;
    found = true;
    read(outer.begin()->value(), x.template emplace<Kind>());
  };
  (attempt(std::type_identity<Kinds>{}), ...);
  if (!found)
    throw Malformed("a kind that this build does not know: " + std::string(outer.begin()->key()));
}

template <class T>
Result<T> guarded(const value& json) {
  try {
    T x;
    read(json, x);
    return x;
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInvalid, std::string("not a journal record: ") + error.what());
  }
}

}  // namespace

boost::json::value to_json(const core::Event& event) {
  return write(event);
}
boost::json::value to_json(const core::Plan& plan) {
  return write(plan);
}
Result<core::Event> event_from_json(const boost::json::value& json) {
  return guarded<core::Event>(json);
}
Result<core::Plan> plan_from_json(const boost::json::value& json) {
  return guarded<core::Plan>(json);
}

}  // namespace berth::control
