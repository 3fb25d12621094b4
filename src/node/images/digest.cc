#include "node/images/digest.h"

#include <array>

#include <fmt/format.h>
#include <openssl/evp.h>

namespace berth::node {

std::string sha256_digest(std::string_view text) {
  std::array<unsigned char, 32> hash{};
  EVP_Digest(text.data(), text.size(), hash.data(), nullptr, EVP_sha256(), nullptr);
  std::string result = "sha256:";
  for (const unsigned char byte : hash) result += fmt::format("{:02x}", byte);
  return result;
}

}  // namespace berth::node
