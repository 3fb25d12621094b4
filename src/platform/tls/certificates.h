#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace berth::platform {

struct CertificateFiles {
  std::filesystem::path ca;  ///< what clients trust
  std::filesystem::path certificate;
  std::filesystem::path key;
};

/// Makes, or keeps where they are still good for 30 days and name all of `addresses` (IP addresses
/// and host names), a certificate authority of this folder alone and a server certificate signed by
/// it. The authority's key is kept, 0600, so that a renewed certificate is still trusted.
Result<CertificateFiles> ensure_certificates(const std::filesystem::path& folder,
                                             const std::vector<std::string>& addresses, Time now);

}  // namespace berth::platform
