#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace berth::cli {

std::string html_escape(std::string_view text);

struct Section {
  std::string title;
  std::string text;
  std::string body;  ///< HTML, not escaped
};

/// One HTML document that loads nothing from elsewhere.
std::string html_page(const std::string& title, const std::vector<Section>& sections);
/// The first row is the head.
std::string html_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace berth::cli
