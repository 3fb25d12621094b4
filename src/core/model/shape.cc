#include "core/model/shape.h"

#include <algorithm>

#include "core/model/hash.h"

namespace berth::core {
namespace {

// One walk that rewrites every name, for both directions.
template <class To, class From, class Convert>
std::vector<To> convert_all(const std::vector<From>& from, const Convert& convert) {
  std::vector<To> to;
  to.reserve(from.size());
  for (const From& item : from) to.push_back(convert(item));
  return to;
}

// `rename` takes an empty name for none; `value` keeps it, as a label's value may be empty.
template <class To, class From, class Rename, class Value>
BasicExpression<To> convert(const BasicExpression<From>& e, const Rename& rename,
                            const Value& value) {
  return {rename(e.key), e.op, convert_all<To>(e.values, value)};
}

template <class To, class From, class Rename, class Value>
BasicTerm<To> convert(const BasicTerm<From>& t, const Rename& rename, const Value& value) {
  return {convert_all<BasicExpression<To>>(
              t.all, [&](const auto& e) { return convert<To>(e, rename, value); }),
          t.weight};
}

template <class To, class From, class Rename, class Value>
BasicShape<To> convert(const BasicShape<From>& shape, const Rename& rename, const Value& value) {
  const auto expression = [&](const BasicExpression<From>& e) {
    return convert<To>(e, rename, value);
  };
  const auto term = [&](const BasicTerm<From>& t) { return convert<To>(t, rename, value); };
  BasicShape<To> to;
  to.request = shape.request;
  const BasicDeviceRequest<From>& d = shape.devices;
  to.devices = {
      rename(d.resource), d.count,    d.milli, d.memory_bytes, convert_all<To>(d.models, rename),
      d.same_link_domain, d.same_numa};
  to.counted = convert_all<BasicCountedRequest<To>>(shape.counted, [&](const auto& c) {
    return BasicCountedRequest<To>{rename(c.resource), c.amount};
  });
  const BasicNodeFilter<From>& f = shape.filter;
  to.filter.selector = convert_all<BasicExpression<To>>(f.selector, expression);
  to.filter.affinity = convert_all<BasicTerm<To>>(f.affinity, term);
  to.filter.preferred = convert_all<BasicTerm<To>>(f.preferred, term);
  to.filter.tolerations = convert_all<BasicToleration<To>>(f.tolerations, [&](const auto& t) {
    return BasicToleration<To>{rename(t.key),  t.any_key,    t.exists,
                               value(t.value), t.any_effect, t.effect};
  });
  to.filter.tasks = convert_all<BasicTaskAffinity<To>>(f.tasks, [&](const auto& a) {
    return BasicTaskAffinity<To>{a.anti,           a.required,
                                 a.weight,         rename(a.topology_key),
                                 term(a.selector), convert_all<To>(a.namespaces, rename)};
  });
  to.filter.spread = convert_all<BasicSpread<To>>(f.spread, [&](const auto& s) {
    return BasicSpread<To>{rename(s.topology_key), s.max_skew, s.required, term(s.selector),
                           rename(s.ns)};
  });
  to.filter.host_ports = f.host_ports;
  return to;
}

class ShapeHasher {
 public:
  explicit ShapeHasher(const NameTable& names) : names_(names) {}

  uint64_t operator()(const Shape& shape) {
    const Resources& r = shape.request;
    number(r.cpu_milli).number(r.memory_bytes).number(r.ephemeral_bytes).number(r.pods);
    const DeviceRequest& d = shape.devices;
    name(d.resource).number(d.count).number(d.milli).number(d.memory_bytes);
    number(static_cast<int>(d.same_link_domain)).number(static_cast<int>(d.same_numa));
    list(d.models, [&](NameId model) { name(model); });
    list(shape.counted, [&](const auto& c) { name(c.resource).number(c.amount); });
    const NodeFilter& f = shape.filter;
    list(f.selector, [&](const Expression& e) { expression(e); });
    list(f.affinity, [&](const Term& t) { term(t); });
    list(f.preferred, [&](const Term& t) { term(t); });
    list(f.tolerations, [&](const Toleration& t) {
      name(t.key).number(t.any_key).number(t.exists).name(t.value);
      number(t.any_effect).number(static_cast<int>(t.effect));
    });
    list(f.tasks, [&](const TaskAffinity& a) {
      number(a.anti).number(a.required).number(a.weight).name(a.topology_key);
      term(a.selector);
      list(a.namespaces, [&](NameId ns) { name(ns); });
    });
    list(f.spread, [&](const Spread& s) {
      name(s.topology_key).number(s.max_skew).number(s.required).name(s.ns);
      term(s.selector);
    });
    list(f.host_ports, [&](uint32_t port) { number(port); });
    return hash_.value();
  }

 private:
  ShapeHasher& number(int64_t value) {
    hash_.add(static_cast<uint64_t>(value));
    return *this;
  }
  ShapeHasher& name(NameId id) {
    hash_.add(names_.text(id));
    return *this;
  }
  template <class List, class Visit>
  void list(const List& items, const Visit& visit) {
    number(static_cast<int64_t>(items.size()));
    for (const auto& item : items) visit(item);
  }
  void expression(const Expression& e) {
    name(e.key).number(static_cast<int>(e.op));
    list(e.values, [&](NameId value) { name(value); });
  }
  void term(const Term& t) {
    number(t.weight);
    list(t.all, [&](const Expression& e) { expression(e); });
  }

  const NameTable& names_;
  Hash hash_;
};

}  // namespace

namespace {

template <class Spec>
auto interned(const Spec& spec, NameTable& names) {
  const auto value = [&](const std::string& text) { return names.intern(text); };
  const auto rename = [&](const std::string& text) {
    return text.empty() ? NameId{} : value(text);
  };
  return convert<NameId>(spec, rename, value);
}

template <class Interned>
auto spelled(const Interned& interned, const NameTable& names) {
  const auto text = [&](NameId id) { return std::string(names.text(id)); };
  return convert<std::string>(interned, text, text);
}

}  // namespace

Shape intern(const ShapeSpec& spec, NameTable& names) {
  return interned(spec, names);
}

ShapeSpec spell(const Shape& shape, const NameTable& names) {
  return spelled(shape, names);
}

Term intern(const BasicTerm<std::string>& term, NameTable& names) {
  return interned(term, names);
}

BasicTerm<std::string> spell(const Term& term, const NameTable& names) {
  return spelled(term, names);
}

Taint intern(const BasicTaint<std::string>& taint, NameTable& names) {
  return {names.intern(taint.key), names.intern(taint.value), taint.effect};
}

BasicTaint<std::string> spell(const Taint& taint, const NameTable& names) {
  return {std::string(names.text(taint.key)), std::string(names.text(taint.value)), taint.effect};
}

uint64_t hash_of(const Shape& shape, const NameTable& names) {
  return ShapeHasher(names)(shape);
}

}  // namespace berth::core
