#include "app/image_shelf.h"

#include <filesystem>
#include <memory>
#include <utility>

#include <unistd.h>

#include "node/images/oci_store.h"

namespace berth::app {
namespace {

cli::ShelvedImage shelved(const node::StoredImage& image) {
  return {.name = image.reference,
          .digest = image.digest,
          .size_bytes = image.size_bytes,
          .stored = image.stored,
          .origin = image.imported ? "imported" : "pulled",
          .in_use = image.in_use};
}

class StoreShelf final : public cli::ImageShelf {
 public:
  explicit StoreShelf(std::unique_ptr<node::OciStore> store) : store_(std::move(store)) {}

  Result<cli::ShelvedImage> import(const std::string& path, const std::string& name) override {
    BERTH_TRY(const node::StoredImage image, store_->import(path, name));
    return shelved(image);
  }

  Result<std::vector<cli::ShelvedImage>> list() override {
    std::vector<cli::ShelvedImage> images = {{.name = node::kHostImage,
                                              .digest = "-",
                                              .size_bytes = 0,
                                              .stored = {},
                                              .origin = "this machine",
                                              .in_use = false}};
    for (const node::StoredImage& image : store_->list()) images.push_back(shelved(image));
    return images;
  }

  Result<> remove(const std::string& name) override { return store_->remove(name); }

 private:
  std::unique_ptr<node::OciStore> store_;
};

}  // namespace

cli::OpenImageShelf image_shelf_opener(const Clock& clock) {
  return [&clock](const std::string& data) -> Result<std::unique_ptr<cli::ImageShelf>> {
    if (::geteuid() != 0)
      return fail(ErrorCode::kForbidden, "images belong to root", data,
                  "run it as root: `sudo berth image ...`");
    if (!std::filesystem::is_directory(data))
      return fail(ErrorCode::kNotFound, "no Berth has run on this folder", data,
                  "start `berth serve`, or name its folder: berth image --data DIR ...");
    BERTH_TRY(std::unique_ptr<node::OciStore> store,
              node::OciStore::open({.directory = data + "/images"}, clock, false));
    return std::unique_ptr<cli::ImageShelf>(std::make_unique<StoreShelf>(std::move(store)));
  };
}

}  // namespace berth::app
