#include "client/keys/key_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "objects/json_text.h"

namespace berth::client {

Result<std::vector<GatewayKey>> read_key_file(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in)
    return fail(ErrorCode::kNotFound, "the key file cannot be read", file,
                fmt::format("make one with `berth key create TENANT --file {}`", file.string()));
  std::stringstream text;
  text << in.rdbuf();
  auto parsed = objects::parse_json(text.str());
  if (!parsed)
    return fail(ErrorCode::kInvalid, parsed.error().what,
                file.string() + ":" + parsed.error().where,
                "make keys with `berth key create`; do not edit them by hand");
  std::vector<GatewayKey> keys;
  for (const Json& entry : objects::find_array(parsed->value, {"keys"})) {
    BERTH_TRY(GatewayKey key,
              key_from_json(entry, fmt::format("{}: keys[{}]", file.string(), keys.size())));
    keys.push_back(std::move(key));
  }
  return keys;
}

Result<> write_key_file(const std::filesystem::path& file, const std::vector<GatewayKey>& keys) {
  JsonArray entries;
  for (const GatewayKey& key : keys) entries.push_back(key_to_json(key));
  const std::string text = objects::pretty_json(JsonObject{{"keys", std::move(entries)}}) + "\n";
  const std::filesystem::path fresh = file.string() + ".new";
  const auto failed = [&](const char* what) {
    return fail(ErrorCode::kUnavailable, fmt::format("{}: {}", what, std::strerror(errno)), file);
  };
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return failed("the key file cannot be written");
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd) == 0;
  ::close(fd);
  if (!written) return failed("the key file cannot be written");
  if (::rename(fresh.c_str(), file.c_str()) != 0) return failed("the key file cannot be replaced");
  return {};
}

}  // namespace berth::client
