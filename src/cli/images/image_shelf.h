#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace CLI {
class App;
}

namespace berth::cli {

/// One image of this machine, for people.
struct ShelvedImage {
  std::string name;
  std::string digest;
  int64_t size_bytes = 0;
  Time stored;
  std::string origin;  ///< `imported`, `pulled` or `this machine`
  bool in_use = false;
};

/// The images of this machine, as `berth image` sees them. The node's store stands behind it; `app`
/// joins the two.
class ImageShelf {
 public:
  virtual ~ImageShelf() = default;
  virtual Result<ShelvedImage> import(const std::string& path, const std::string& name) = 0;
  virtual Result<std::vector<ShelvedImage>> list() = 0;
  virtual Result<> remove(const std::string& name) = 0;
};

/// Opens the shelf below a data directory.
using OpenImageShelf = std::function<Result<std::unique_ptr<ImageShelf>>(const std::string& data)>;

/// `berth image import|ls|rm`. Works on the files of this machine, with or without a server;
/// `clock` and `exit_code` outlive the parse.
void add_image(CLI::App& root, const OpenImageShelf& open, const Clock& clock, int& exit_code);

}  // namespace berth::cli
