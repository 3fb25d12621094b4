#include "objects/text_forms.h"

#include <cstdint>

namespace berth::objects {

bool has_latest_tag(std::string_view image) {
  if (image.find('@') != std::string_view::npos) return false;
  // A colon before the last slash belongs to a registry's port.
  const std::string_view name = image.substr(image.rfind('/') + 1);
  const size_t colon = name.find(':');
  return colon == std::string_view::npos || name.substr(colon + 1) == "latest";
}

namespace {

struct Character {
  uint32_t code = 0;
  size_t length = 0;  ///< in bytes; 0 where they are not UTF-8
};

Character character_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  if (lead < 0x80) return {lead, 1};
  const size_t length = lead >= 0xf0 ? 4 : (lead >= 0xe0 ? 3 : 2);
  if (lead < 0xc2 || lead > 0xf4 || at + length > text.size()) return {};
  uint32_t code = lead & (0xffu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(at + i) & 0x3fu);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  if (overlong || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return {};
  return {code, length};
}

bool is_control(uint32_t code) {
  if (code < 0x20) return code != '\t' && code != '\n' && code != '\r';
  return code >= 0x7f && code < 0xa0 && code != 0x85;
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = character_at(text, at).length;
    if (length == 0) return false;
    at += length;
  }
  return true;
}

size_t first_unreadable(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const Character character = character_at(text, at);
    if (character.length == 0 || is_control(character.code)) return at;
    at += character.length;
  }
  return at;
}

std::string base64(std::string_view bytes) {
  static constexpr char kAlphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j)
      group = group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j)
      out += i + j <= bytes.size() ? kAlphabet[group >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

bool is_base64(std::string_view text) {
  size_t characters = 0, padding = 0;
  for (char c : text) {
    if (c == '\n' || c == '\r') continue;
    ++characters;
    if (c == '=') {
      ++padding;
      continue;
    }
    const bool known = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                       c == '+' || c == '/';
    if (!known || padding > 0) return false;
  }
  return characters % 4 == 0 && padding <= 2;
}

}  // namespace berth::objects
