#include "cli/simulate/report/html.h"

#include <fmt/format.h>

namespace berth::cli {

std::string html_escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string html_page(const std::string& title, const std::vector<Section>& sections) {
  std::string page = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title>\n"
      "<style>body{{font:15px sans-serif;max-width:860px;margin:2em auto;color:#222}}"
      "svg{{width:100%;font:12px sans-serif}}.grid{{stroke:#ddd}}"
      "table{{border-collapse:collapse}}td,th{{padding:.25em .8em;text-align:right}}"
      "td:first-child,th:first-child{{text-align:left}}tr{{border-bottom:1px solid #ddd}}"
      "</style></head>\n<body><h1>{0}</h1>\n",
      html_escape(title));
  for (const Section& section : sections) {
    page += fmt::format("<h2>{}</h2>\n<p>{}</p>\n{}", html_escape(section.title),
                        html_escape(section.text), section.body);
  }
  return page + "</body></html>\n";
}

std::string html_table(const std::vector<std::vector<std::string>>& rows) {
  std::string table = "<table>\n";
  for (size_t i = 0; i < rows.size(); ++i) {
    table += "<tr>";
    for (const std::string& cell : rows[i])
      table += fmt::format("<{0}>{1}</{0}>", i == 0 ? "th" : "td", html_escape(cell));
    table += "</tr>\n";
  }
  return table + "</table>\n";
}

}  // namespace berth::cli
