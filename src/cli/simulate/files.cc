#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include <fmt/format.h>

#include "cli/simulate/commands.h"

namespace berth::cli {

Result<std::string> read_text_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in || !text) {
    return fail(ErrorCode::kInvalid, fmt::format("cannot read the file: {}", std::strerror(errno)),
                path, "check the path and its permissions");
  }
  return std::move(text).str();
}

Result<> write_text_file(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("cannot write the file: {}", std::strerror(errno)), path,
                "check that its folder exists and has room");
  }
  return {};
}

int report(const Result<>& done) {
  if (done) return 0;
  const Error& error = done.error();
  fmt::print(stderr, "error: {}\n", error.to_string());
  return error.code == ErrorCode::kInvalid || error.code == ErrorCode::kNotFound ? 2 : 1;
}

}  // namespace berth::cli
