#include <algorithm>
#include <exception>
#include <optional>
#include <sstream>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "objects/path.h"
#include "objects/text_forms.h"
#include "objects/yaml.h"
#include "objects/yaml/scalar.h"

namespace berth::objects {
namespace {

constexpr std::string_view kYamlTag = "tag:yaml.org,2002:";

/// What stops the parser from inside its callbacks; caught in parse_yaml.
struct Refused : std::exception {
  Refused(Position where, std::string why, std::string how = {})
      : at(where), what_text(std::move(why)), fix(std::move(how)) {}
  Position at;
  std::string what_text, fix;
};

Position position(const YAML::Mark& mark) {
  return {mark.line + 1, mark.column + 1};
}

/// Builds one document from the parser's events.
class DocumentBuilder : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    scalar(mark, nullptr, anchor, "");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    scalar(mark, value_of(mark, tag, text), anchor, tag == "?" ? std::string_view(text) : "");
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto known = anchors_.find(anchor);
    if (known == anchors_.end())
      throw Refused(position(mark), "an alias refers to the value that it stands in");
    count(mark, known->second.cost);
    if (expects_key()) {
      take_key(mark, key_text(mark, known->second.value), false);
      return;
    }
    value(mark, known->second.value);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, JsonArray(), anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, JsonObject(), anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

  bool has_value() const { return has_value_; }
  YamlDocument take() { return std::move(document_); }
  void start() {
    document_ = {};
    anchors_.clear();
    frames_.clear();
    path_.clear();
    has_value_ = false;
  }

 private:
  struct Frame {
    Json value;
    YAML::Mark mark;
    YAML::anchor_t anchor;
    size_t cost_before;
    size_t path_size;  // of this value's own path
    std::string key{};
    bool has_key = false, merge_key = false;
    std::unordered_set<std::string> own_keys{};
  };
  struct Anchored {
    Json value;
    size_t cost;
  };

  void count(const YAML::Mark& mark, size_t cost) {
    cost_ += cost;
    if (cost_ > kMaxYamlNodes)
      throw Refused(position(mark),
                    fmt::format("the document expands to more than {} values", kMaxYamlNodes),
                    "use fewer aliases");
  }

  Json value_of(const YAML::Mark& mark, const std::string& tag, const std::string& text) {
    if (tag == "?" || tag.empty()) return finite(mark, resolve_plain_scalar(text), text);
    if (tag == "!" || tag == std::string(kYamlTag) + "str") return Json(text);
    if (tag == std::string(kYamlTag) + "binary")
      throw Refused(position(mark), "the tag !!binary is not supported",
                    "write base64 as a string");
    if (tag.starts_with(kYamlTag)) return finite(mark, resolve_plain_scalar(text), text);
    throw Refused(position(mark), fmt::format("the tag `{}` is not supported", tag), "remove it");
  }

  static Json finite(const YAML::Mark& mark, Json value, const std::string& text) {
    const std::string_view body =
        text.starts_with('+') || text.starts_with('-') ? std::string_view(text).substr(1) : text;
    if (value.is_string() && body.size() == 4 && body[0] == '.' &&
        std::string_view(".inf.Inf.INF.nan.NaN.NAN").find(body) % 4 == 0)
      throw Refused(position(mark), fmt::format("`{}` is not a finite number", text),
                    "put it in quotes if it is text");
    return value;
  }

  bool expects_key() const {
    return !frames_.empty() && frames_.back().value.is_object() && !frames_.back().has_key;
  }

  std::string key_text(const YAML::Mark& mark, const Json& key) const {
    if (key.is_string()) return std::string(key.get_string());
    if (key.is_null() || key.is_structured())
      throw Refused(position(mark), "a key must be text", "put it in quotes");
    return canonical_json(key);
  }

  void scalar(const YAML::Mark& mark, Json scalar_value, YAML::anchor_t anchor,
              std::string_view plain) {
    const size_t cost = 1 + (scalar_value.is_string() ? scalar_value.get_string().size() / 32 : 0);
    count(mark, cost);
    if (anchor != YAML::NullAnchor) anchors_[anchor] = {scalar_value, cost};
    if (expects_key()) {
      take_key(mark, plain == "<<" ? "<<" : key_text(mark, scalar_value), plain == "<<");
      return;
    }
    value(mark, std::move(scalar_value));
  }

  void take_key(const YAML::Mark& mark, std::string key, bool merge) {
    Frame& frame = frames_.back();
    path_.resize(frame.path_size);
    frame.has_key = true;
    frame.merge_key = merge;
    if (!merge) {
      append_key(path_, key);
      if (!frame.own_keys.insert(key).second)
        document_.duplicates.push_back({path_, position(mark)});
      document_.positions.set(path_, position(mark));
    }
    frame.key = std::move(key);
  }

  /// Sets `path_` to where the next value goes; keys have done so already.
  void enter_item(const YAML::Mark& mark) {
    if (frames_.empty()) {
      document_.positions.set("", position(mark));
      return;
    }
    Frame& frame = frames_.back();
    if (!frame.value.is_array()) return;
    path_.resize(frame.path_size);
    append_index(path_, frame.value.get_array().size());
    document_.positions.set(path_, position(mark));
  }

  void open(const YAML::Mark& mark, Json empty, YAML::anchor_t anchor) {
    if (expects_key())
      throw Refused(position(mark), "a key must be text",
                    "quote a value that starts with `{` or `[`");
    if (frames_.size() >= static_cast<size_t>(kMaxDepth))
      throw Refused(position(mark), fmt::format("nested deeper than {} levels", kMaxDepth));
    enter_item(mark);
    const size_t before = cost_;
    count(mark, 1);
    frames_.push_back({std::move(empty), mark, anchor, before, path_.size()});
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    path_.resize(frame.path_size);
    if (frame.anchor != YAML::NullAnchor) {
      const size_t cost = cost_ - frame.cost_before;
      count(frame.mark, cost);  // an anchored value is kept twice
      anchors_[frame.anchor] = {frame.value, cost};
    }
    store(frame.mark, std::move(frame.value));
  }

  void value(const YAML::Mark& mark, Json stored) {
    enter_item(mark);
    store(mark, std::move(stored));
  }

  void store(const YAML::Mark& mark, Json stored) {
    if (frames_.empty()) {
      has_value_ = !stored.is_null();
      document_.value = std::move(stored);
      return;
    }
    Frame& frame = frames_.back();
    if (JsonArray* array = frame.value.if_array()) {
      array->push_back(std::move(stored));
      return;
    }
    frame.has_key = false;
    if (std::exchange(frame.merge_key, false)) {
      merge(mark, frame.value.get_object(), stored);
    } else {
      frame.value.get_object()[frame.key] = std::move(stored);
    }
  }

  /// As Kubernetes' reader: what is merged replaces what stands before it, keys after it replace
  /// what was merged; in a list of maps the earlier ones win.
  static void merge(const YAML::Mark& mark, JsonObject& into, const Json& merged) {
    if (const JsonObject* object = merged.if_object()) {
      for (const auto& [key, member] : *object) into[key] = member;
      return;
    }
    const JsonArray* list = merged.if_array();
    if (list == nullptr || !std::ranges::all_of(*list, [](const Json& v) { return v.is_object(); }))
      throw Refused(position(mark), "`<<` takes a map or a list of maps");
    for (size_t i = list->size(); i-- > 0;) merge(mark, into, (*list)[i]);
  }

  YamlDocument document_;
  std::unordered_map<YAML::anchor_t, Anchored> anchors_;
  std::vector<Frame> frames_;
  std::string path_;
  size_t cost_ = 0;  // of all documents of the text together
  bool has_value_ = false;
};

/// `path` as seen from `parent`, which it lies under.
std::string path_below(std::string_view path, std::string_view parent) {
  path.remove_prefix(parent.size());
  if (path.starts_with('.')) path.remove_prefix(1);
  return std::string(path);
}

std::unexpected<Error> bad_yaml(std::string_view file, Position at, std::string what,
                                std::string fix) {
  return fail(ErrorCode::kInvalid, std::move(what),
              file.empty() ? fmt::format("{}:{}", at.line, at.column)
                           : fmt::format("{}:{}:{}", file, at.line, at.column),
              std::move(fix));
}

std::string fix_for(std::string_view message, std::string_view text, Position at) {
  // A tab where spaces should be is invisible, and what the parser says then rarely names it.
  std::istringstream lines{std::string(text)};
  std::string line;
  for (int i = 0; i < at.line && std::getline(lines, line); ++i) {
  }
  const size_t first = line.find_first_not_of(" \t");
  if (line.substr(0, first).find('\t') != std::string::npos) return "indent with spaces, not tabs";
  if (message.find("map value") != std::string_view::npos ||
      message.find("end of map") != std::string_view::npos)
    return "check the indentation here and in the line above, and put text with `: ` in quotes";
  return {};
}

/// What a JSON text lacks that ends too early, or closes what it did not open. The parser says of
/// it that a key is wrong, at the text's first character.
std::optional<Refused> unclosed_json(std::string_view text) {
  static constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = std::min(text.find_first_not_of(kSpace), text.size());
  const size_t second = std::min(text.find_first_not_of(kSpace, first + 1), text.size());
  if (first == text.size() || (text[first] != '{' && text[first] != '[') ||
      (second < text.size() &&
       std::string_view("\"{[").find(text[second]) == std::string_view::npos))
    return std::nullopt;

  std::vector<size_t> open;
  std::string missing;  // what closes them, the innermost last
  const auto lacks = [&](std::string_view what, size_t at, std::string fix) {
    const Position from = position_of(text, open.back());
    return Refused(position_of(text, at),
                   fmt::format("not JSON: {} is missing, and `{}` at {}:{} is open", what,
                               text[open.back()], from.line, from.column),
                   std::move(fix));
  };
  for (size_t i = first; i < text.size(); ++i) {
    const char c = text[i];
    const bool quoted = missing.ends_with('"');
    if (quoted && c == '\\') {
      ++i;
    } else if (!missing.empty() && c == missing.back()) {
      missing.pop_back();
      open.pop_back();
    } else if (!quoted && (c == '{' || c == '[' || c == '"')) {
      open.push_back(i);
      missing.push_back(c == '{' ? '}' : c == '[' ? ']' : '"');
    } else if (!quoted && (c == '}' || c == ']') && !missing.empty()) {
      return lacks(fmt::format("`{}` stands where `{}`", c, missing.back()), i,
                   fmt::format("add it, or remove the `{}`", c));
    }
  }
  if (missing.empty()) return std::nullopt;
  std::ranges::reverse(missing);
  return lacks(fmt::format("the text ends where `{}`", missing), text.size(),
               "add it, or get the whole file");
}

}  // namespace

void Positions::set(std::string path, Position at) {
  by_path_.insert_or_assign(std::move(path), at);
}

Position Positions::find(std::string_view path) const {
  std::string at(path);
  for (;;) {
    if (const auto known = by_path_.find(at); known != by_path_.end()) return known->second;
    if (at.empty()) return {};
    // A bracketed key may hold dots: a path that ends in one is cut at its bracket.
    const size_t cut = at.back() == ']' ? at.rfind('[') : at.rfind('.');
    at.resize(cut == std::string::npos ? 0 : cut);
  }
}

Positions Positions::below(std::string_view path) const {
  Positions part;
  part.set("", find(path));
  for (auto at = by_path_.upper_bound(path); at != by_path_.end() && at->first.starts_with(path);
       ++at)
    if (is_under(at->first, path)) part.set(path_below(at->first, path), at->second);
  return part;
}

YamlDocument YamlDocument::at(std::string_view path, Json part) const {
  YamlDocument document{std::move(part), positions.below(path), {}};
  for (const DuplicateKey& duplicate : duplicates)
    if (is_under(duplicate.path, path))
      document.duplicates.push_back({path_below(duplicate.path, path), duplicate.at});
  return document;
}

Result<std::vector<YamlDocument>> parse_yaml(std::string_view text, std::string_view file) {
  if (const size_t bad = first_unreadable(text); bad < text.size())
    return bad_yaml(file, position_of(text, bad),
                    "not YAML: the text is not UTF-8, or has a control character",
                    "save the file as UTF-8");
  std::vector<YamlDocument> documents;
  DocumentBuilder builder;
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    builder.start();
    while (parser.HandleNextDocument(builder)) {
      if (builder.has_value()) documents.push_back(builder.take());
      builder.start();
    }
  } catch (const Refused& refused) {
    if (const auto unclosed = unclosed_json(text))
      return bad_yaml(file, unclosed->at, unclosed->what_text, unclosed->fix);
    return bad_yaml(file, refused.at, refused.what_text, refused.fix);
  } catch (const YAML::Exception& error) {
    if (const auto unclosed = unclosed_json(text))
      return bad_yaml(file, unclosed->at, unclosed->what_text, unclosed->fix);
    const Position at = position(error.mark);
    return bad_yaml(file, at, "not YAML: " + error.msg, fix_for(error.msg, text, at));
  }
  return documents;
}

}  // namespace berth::objects
