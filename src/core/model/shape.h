#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/model/ids.h"
#include "core/model/names/names.h"

namespace berth::core {

/// What a node has of everything that is neither a device nor an extended resource.
struct Resources {
  int64_t cpu_milli = 0;
  int64_t memory_bytes = 0;
  int64_t ephemeral_bytes = 0;
  int64_t pods = 0;

  constexpr bool operator==(const Resources&) const = default;
  constexpr Resources& operator+=(const Resources& other) {
    cpu_milli += other.cpu_milli;
    memory_bytes += other.memory_bytes;
    ephemeral_bytes += other.ephemeral_bytes;
    pods += other.pods;
    return *this;
  }
  constexpr Resources& operator-=(const Resources& other) {
    cpu_milli -= other.cpu_milli;
    memory_bytes -= other.memory_bytes;
    ephemeral_bytes -= other.ephemeral_bytes;
    pods -= other.pods;
    return *this;
  }
  /// Is there room for `request` in `this`?
  constexpr bool covers(const Resources& request) const {
    return cpu_milli >= request.cpu_milli && memory_bytes >= request.memory_bytes &&
           ephemeral_bytes >= request.ephemeral_bytes && pods >= request.pods;
  }
};

// The structures below exist twice: with `Name = std::string` they travel in events and journals,
// with `Name = NameId` they are what State keeps.

/// How strictly something is wanted.
enum class Strictness : uint8_t { kNone, kPreferred, kRequired };

/// Devices of one resource, all on one node.
template <class Name>
struct BasicDeviceRequest {
  Name resource{};     ///< `nvidia.com/gpu`
  uint16_t count = 0;  ///< 0: no devices
  /// The share of each device, 1..1000. 0: as large as the share of its memory (`memory_bytes` is
  /// set then).
  uint16_t milli = 1000;
  int64_t memory_bytes = 0;    ///< of each device; 0: in proportion to `milli`
  std::vector<Name> models{};  ///< allowed models, sorted by text; empty: any
  Strictness same_link_domain = Strictness::kPreferred;
  Strictness same_numa = Strictness::kNone;

  bool whole() const { return milli == 1000; }
  bool operator==(const BasicDeviceRequest&) const = default;
};

/// An extended resource that is only counted (`rdma/hca: 1`).
template <class Name>
struct BasicCountedRequest {
  Name resource{};
  int64_t amount = 0;
  bool operator==(const BasicCountedRequest&) const = default;
};

enum class Operator : uint8_t { kIn, kNotIn, kExists, kDoesNotExist, kGreater, kLess };

template <class Name>
struct BasicExpression {
  Name key{};  ///< a label, or `metadata.name` for the node's name
  Operator op = Operator::kIn;
  std::vector<Name> values{};
  bool operator==(const BasicExpression&) const = default;
};

/// All expressions hold.
template <class Name>
struct BasicTerm {
  std::vector<BasicExpression<Name>> all{};
  int32_t weight = 1;  ///< 1..100, where the term is only preferred
  bool operator==(const BasicTerm&) const = default;
};

enum class TaintEffect : uint8_t { kNoSchedule, kPreferNoSchedule, kNoExecute };

template <class Name>
struct BasicTaint {
  Name key{};
  Name value{};
  TaintEffect effect = TaintEffect::kNoSchedule;
  bool operator==(const BasicTaint&) const = default;
};

template <class Name>
struct BasicToleration {
  Name key{};            ///< none with `any_key`
  bool any_key = false;  ///< operator Exists without a key
  bool exists = false;   ///< operator Exists: any value
  Name value{};
  bool any_effect = true;
  TaintEffect effect = TaintEffect::kNoSchedule;
  bool operator==(const BasicToleration&) const = default;
};

/// Near, or away from, nodes of a topology domain that hold tasks with matching labels.
template <class Name>
struct BasicTaskAffinity {
  bool anti = false;
  bool required = true;
  int32_t weight = 1;   ///< where only preferred
  Name topology_key{};  ///< `kubernetes.io/hostname`: the node itself
  BasicTerm<Name> selector{};
  std::vector<Name> namespaces{};  ///< of the tasks that count; sorted, never empty
  bool operator==(const BasicTaskAffinity&) const = default;
};

template <class Name>
struct BasicSpread {
  Name topology_key{};
  int32_t max_skew = 1;
  bool required = true;
  BasicTerm<Name> selector{};
  Name ns{};
  bool operator==(const BasicSpread&) const = default;
};

/// Which nodes may hold a task, apart from capacity.
template <class Name>
struct BasicNodeFilter {
  std::vector<BasicExpression<Name>> selector{};  ///< all hold (`nodeSelector`)
  std::vector<BasicTerm<Name>> affinity{};        ///< one holds; empty: no condition
  std::vector<BasicTerm<Name>> preferred{};
  std::vector<BasicToleration<Name>> tolerations{};
  std::vector<BasicTaskAffinity<Name>> tasks{};
  std::vector<BasicSpread<Name>> spread{};
  std::vector<uint32_t> host_ports{};  ///< port, plus 65536 for UDP and 131072 for SCTP; sorted
  bool operator==(const BasicNodeFilter&) const = default;
};

/// Everything that placement needs to know of a task. Tasks with equal shapes share one ShapeId.
template <class Name>
struct BasicShape {
  Resources request{.pods = 1};
  BasicDeviceRequest<Name> devices{};
  std::vector<BasicCountedRequest<Name>> counted{};  ///< sorted by resource text
  BasicNodeFilter<Name> filter{};
  bool operator==(const BasicShape&) const = default;
};

using ShapeSpec = BasicShape<std::string>;
using Shape = BasicShape<NameId>;
using DeviceRequest = BasicDeviceRequest<NameId>;
using Expression = BasicExpression<NameId>;
using Term = BasicTerm<NameId>;
using Taint = BasicTaint<NameId>;
using Toleration = BasicToleration<NameId>;
using TaskAffinity = BasicTaskAffinity<NameId>;
using Spread = BasicSpread<NameId>;
using NodeFilter = BasicNodeFilter<NameId>;

template <class Name>
struct BasicLabel {
  Name key{};
  Name value{};
  auto operator<=>(const BasicLabel&) const = default;
};
using Label = BasicLabel<NameId>;

Shape intern(const ShapeSpec& spec, NameTable& names);
ShapeSpec spell(const Shape& shape, const NameTable& names);
Taint intern(const BasicTaint<std::string>& taint, NameTable& names);
BasicTaint<std::string> spell(const Taint& taint, const NameTable& names);
Term intern(const BasicTerm<std::string>& term, NameTable& names);
BasicTerm<std::string> spell(const Term& term, const NameTable& names);

/// Independent of the order in which names were interned.
uint64_t hash_of(const Shape& shape, const NameTable& names);

}  // namespace berth::core
