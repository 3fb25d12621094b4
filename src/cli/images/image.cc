#include <memory>
#include <utility>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "base/quantity.h"
#include "cli/images/image_shelf.h"
#include "cli/output/amounts.h"
#include "cli/output/print.h"

namespace berth::cli {
namespace {

struct Options {
  std::string data = "/var/lib/berth";
  std::string name;
  std::string path;
  std::vector<std::string> images;
  std::string format;
};

std::string short_digest(const std::string& digest) {
  const size_t colon = digest.find(':');
  return colon == std::string::npos ? digest : digest.substr(colon + 1, 12);
}

Result<> import(ImageShelf& shelf, const Options& options) {
  BERTH_TRY(const ShelvedImage image, shelf.import(options.path, options.name));
  fmt::print("{} imported ({}, {})\n", image.name, short_digest(image.digest),
             short_amount("memory", Quantity::from_bytes(image.size_bytes)));
  return {};
}

Json to_json(const std::vector<ShelvedImage>& images) {
  JsonArray items;
  for (const ShelvedImage& image : images)
    items.push_back(JsonObject{{"name", image.name},
                               {"digest", image.digest},
                               {"sizeBytes", image.size_bytes},
                               {"stored", format_time(image.stored)},
                               {"origin", image.origin},
                               {"inUse", image.in_use}});
  return items;
}

Result<> list(ImageShelf& shelf, const Options& options, Time now) {
  Format format = Format::kTable;
  if (!options.format.empty()) {
    BERTH_TRY(format, parse_format(options.format));
  }
  BERTH_TRY(const std::vector<ShelvedImage> images, shelf.list());
  if (format == Format::kJson) {
    fmt::print("{}\n", boost::json::serialize(to_json(images)));
    return {};
  }
  if (format == Format::kName) {
    for (const ShelvedImage& image : images) fmt::print("{}\n", image.name);
    return {};
  }
  TextTable table({"NAME", "DIGEST", "SIZE", "AGE", "ORIGIN", "IN USE"});
  for (const ShelvedImage& image : images) {
    const bool stored = image.stored > Time{};
    table.add({image.name, format == Format::kWide ? image.digest : short_digest(image.digest),
               image.size_bytes == 0
                   ? "-"
                   : short_amount("memory", Quantity::from_bytes(image.size_bytes)),
               stored ? format_age(now - image.stored) : "-", image.origin,
               !stored        ? "-"
               : image.in_use ? "yes"
                              : "no"});
  }
  fmt::print("{}", table.to_string());
  return {};
}

Result<> remove(ImageShelf& shelf, const Options& options) {
  for (const std::string& image : options.images) {
    BERTH_CHECK(shelf.remove(image));
    fmt::print("{} removed\n", image);
  }
  return {};
}

}  // namespace

void add_image(CLI::App& root, const OpenImageShelf& open, const Clock& clock, int& exit_code) {
  auto options = std::make_shared<Options>();
  auto* image = root.add_subcommand("image", "Bring, list and remove this machine's images");
  image->require_subcommand(1);
  image->footer(
      "Examples:\n"
      "  berth image import trainer.tar\n"
      "  berth image ls");
  image->add_option("--data", options->data, "Berth's data directory")
      ->type_name("DIR")
      ->capture_default_str();
  const auto run = [options, open, &exit_code](auto&& action) {
    auto shelf = open(options->data);
    exit_code = shelf ? exit_code_of(action(**shelf, *options)) : print_error(shelf.error());
  };

  auto* add = image->add_subcommand("import", "Take in an archive or a directory");
  add->add_option("PATH", options->path, "An OCI archive or layout, or an archive of `docker save`")
      ->type_name("")
      ->required();
  add->add_option("--name", options->name, "What to call it; default: the name that it carries")
      ->type_name("NAME");
  add->footer(
      "Examples:\n"
      "  docker save trainer:1 -o trainer.tar && berth image import trainer.tar\n"
      "  skopeo copy docker://docker.io/library/python:3.12 oci-archive:python.tar\n"
      "  berth image import python.tar --name python:3.12\n"
      "An imported image is never asked for at a registry, whatever imagePullPolicy says.");
  add->callback([run] { run(&import); });

  auto* ls = image->add_subcommand("ls", "List the images, and which ones containers use");
  ls->add_option("-o,--output", options->format, "wide, json or name")->type_name("FORMAT");
  ls->footer("Example:\n  berth image ls -o wide");
  ls->callback([run, &clock] {
    run([&](ImageShelf& shelf, const Options& chosen) { return list(shelf, chosen, clock.now()); });
  });

  auto* rm = image->add_subcommand("rm", "Remove images that no container uses");
  rm->add_option("IMAGE", options->images, "Names, as `berth image ls` shows them")
      ->type_name("")
      ->required();
  rm->footer("Example:\n  berth image rm trainer:1");
  rm->callback([run] { run(&remove); });
}

}  // namespace berth::cli
