#include "node/images/image_transfer.h"

#include <filesystem>
#include <vector>

#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "base/text.h"
#include "node/files.h"
#include "node/images/digest.h"
#include "objects/json.h"
#include "platform/process.h"

namespace berth::node {
namespace {

namespace fs = std::filesystem;
using objects::find_array;
using objects::find_string;

// Model servers' images are tens of gigabytes.
constexpr Duration kCopyTimeout = Duration::hours(4);
constexpr Duration kAskTimeout = Duration::seconds(30);
/// How skopeo tells a registry's image from others.
constexpr std::string_view kRegistry = "docker://";
constexpr char kDamaged[] = "the file is damaged or cut off: save or copy it again";

Result<Json> parse_object(std::string_view text, const std::string& where) {
  boost::system::error_code error;
  Json value = boost::json::parse({text.data(), text.size()}, error);
  if (error) return fail(ErrorCode::kInvalid, "cannot be read as JSON", where, kDamaged);
  return value;
}

Result<platform::ProcessResult> run(std::vector<std::string> argv, Duration timeout,
                                    const std::string& temporary) {
  platform::ProcessOptions options;
  options.argv = std::move(argv);
  options.timeout = timeout;
  options.output_limit = 16 << 20;
  if (!temporary.empty()) options.env.push_back("TMPDIR=" + temporary);
  const std::string program = options.argv[0];
  if (platform::find_program(program).empty())
    return fail(ErrorCode::kUnsupported, fmt::format("`{}` is not installed", program), "",
                fmt::format("install it (Debian and Ubuntu: `apt install {}`)", program));
  return platform::run_process(options);
}

/// `skopeo` with the options that every call has. Without a policy of the administrator's every
/// image is accepted, as the tools do whose packages bring one.
std::vector<std::string> skopeo() {
  std::vector<std::string> argv = {"skopeo"};
  if (!fs::exists("/etc/containers/policy.json")) argv.emplace_back("--insecure-policy");
  return argv;
}

Result<std::string> archive_member(const std::string& archive, const std::string& member) {
  BERTH_TRY(platform::ProcessResult result,
            run({"tar", "-xOf", archive, member}, kCopyTimeout, ""));
  if (result.exit_code != 0)
    return fail(ErrorCode::kInvalid, fmt::format("`{}` cannot be read from it", member), archive,
                kDamaged);
  return std::move(result.output);
}

Result<ImageSource> recognise_layout(const std::string& transport, const std::string& path,
                                     const std::string& index_text) {
  BERTH_TRY(const Json index, parse_object(index_text, path + ": index.json"));
  const JsonArray& manifests = find_array(index, {"manifests"});
  if (manifests.size() != 1)
    return fail(ErrorCode::kInvalid,
                fmt::format("it holds {} images, and one is expected", manifests.size()), path,
                "copy the one you want into a file of its own with `skopeo copy`");
  ImageSource source;
  const std::string name(
      find_string(manifests[0], {"annotations", "org.opencontainers.image.ref.name"}));
  const std::string_view full =
      find_string(manifests[0], {"annotations", "io.containerd.image.name"});
  source.transport = transport + ":" + path + (name.empty() ? "" : ":" + name);
  // A bare tag says which of several, not of what.
  source.suggested_name = !full.empty()                                   ? std::string(full)
                          : name.find_first_of("/:") == std::string::npos ? ""
                                                                          : name;
  return source;
}

Result<ImageSource> recognise_docker_archive(const std::string& path) {
  BERTH_TRY(const std::string text, archive_member(path, "manifest.json"));
  BERTH_TRY(const Json manifest, parse_object(text, path + ": manifest.json"));
  const size_t images = manifest.is_array() ? manifest.as_array().size() : 0;
  if (images != 1)
    return fail(ErrorCode::kInvalid, fmt::format("it holds {} images, and one is expected", images),
                path, "save each image into a file of its own");
  ImageSource source;
  source.transport = "docker-archive:" + path;
  const JsonArray& tags = find_array(manifest.as_array()[0], {"RepoTags"});
  if (!tags.empty() && tags[0].is_string()) {
    source.suggested_name = std::string(tags[0].as_string());
    source.transport += ":" + source.suggested_name;
  }
  return source;
}

/// The image's configuration, from the layout that skopeo wrote.
Result<UnpackedImage> read_layout(const std::string& layout) {
  const auto blob = [&](std::string_view digest) {
    constexpr std::string_view kPrefix = "sha256:";
    if (!digest.starts_with(kPrefix))
      return Result<std::string>(
          fail(ErrorCode::kInvalid, fmt::format("digest `{}` is not SHA-256", digest), layout));
    return read_file(layout + "/blobs/sha256/" + std::string(digest.substr(kPrefix.size())));
  };
  BERTH_TRY(const std::string index_text, read_file(layout + "/index.json"));
  BERTH_TRY(const Json index, parse_object(index_text, layout));
  const JsonArray& manifests = find_array(index, {"manifests"});
  if (manifests.empty()) return fail(ErrorCode::kInvalid, "it holds no image", layout, kDamaged);
  UnpackedImage image;
  image.digest = find_string(manifests[0], {"digest"});
  BERTH_TRY(const std::string manifest_text, blob(image.digest));
  BERTH_TRY(const Json manifest, parse_object(manifest_text, layout));
  BERTH_TRY(image.config, blob(find_string(manifest, {"config", "digest"})));
  return image;
}

std::string last_line(std::string_view text) {
  text = trim(text);
  return std::string(text.substr(text.rfind('\n') + 1));
}

std::string first_line(std::string_view text) {
  text = trim(text);
  return std::string(text.substr(0, text.find('\n')));
}

bool mentions(std::string_view text, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) {
    if (text.find(word) != std::string_view::npos) return true;
  }
  return false;
}

void add_access(std::vector<std::string>& argv, const RegistryAccess& access) {
  if (access.auth_file.empty()) return;
  argv.emplace_back("--authfile");
  argv.push_back(access.auth_file);
}

}  // namespace

Error read_skopeo_error(std::string_view message, const std::string& source) {
  // time="..." level=fatal msg="..."
  std::string text = last_line(message);
  if (const size_t at = text.find("msg=\""); at != std::string::npos) {
    text = text.substr(at + 5);
    if (text.ends_with('"')) text.pop_back();
    std::string plain;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\\' && i + 1 < text.size()) ++i;
      plain += text[i];
    }
    text = plain;
  }
  Error error{ErrorCode::kUnavailable, text, source, ""};
  if (!source.starts_with(kRegistry)) {
    error.code = ErrorCode::kInvalid;
    error.fix = kDamaged;
  } else if (mentions(text, {"unauthorized", "denied", "authentication required"})) {
    error.code = ErrorCode::kNotFound;
    error.fix = "check the name, or log in to the registry and give Berth the auth file";
  } else if (mentions(text, {"manifest unknown", "name unknown", "not found", "404 ("})) {
    error.code = ErrorCode::kNotFound;
    error.fix = "check the name and the tag";
  } else if (mentions(text, {"no space left"})) {
    error.fix = "free disk space, for example with `berth image rm`";
  } else {
    error.fix =
        "check the way to the registry; without one, bring the image as a file with "
        "`berth image import`";
  }
  return error;
}

ImageSource registry_source(const ImageReference& reference) {
  return {.transport = std::string(kRegistry) + reference.to_pull()};
}

Result<ImageSource> recognise_image(const std::string& path) {
  std::error_code error;
  const std::string real = fs::canonical(path, error).string();
  if (error)
    return fail(ErrorCode::kInvalid, "cannot be opened: " + error.message(), path,
                "give a file or a directory that exists");
  if (real.find(':') != std::string::npos)
    return fail(ErrorCode::kInvalid, "its path has a `:`, which skopeo cannot take", path,
                "move it elsewhere");
  if (fs::is_directory(real)) {
    if (!fs::exists(real + "/oci-layout"))
      return fail(ErrorCode::kInvalid, "the directory is no OCI layout (it has no `oci-layout`)",
                  path, "give a layout or an archive, as `skopeo copy` or `docker save` write");
    BERTH_TRY(const std::string index, read_file(real + "/index.json"));
    return recognise_layout("oci", real, index);
  }
  BERTH_TRY(const platform::ProcessResult listing, run({"tar", "-tf", real}, kCopyTimeout, ""));
  if (listing.exit_code != 0)
    return fail(ErrorCode::kInvalid, "it is no complete archive: " + first_line(listing.errors),
                path, kDamaged);
  bool layout = false;
  for (const std::string_view name : split(listing.output, '\n')) {
    if (name == "manifest.json") return recognise_docker_archive(real);
    layout = layout || name == "oci-layout" || name == "./oci-layout";
  }
  if (!layout)
    return fail(ErrorCode::kInvalid, "it is neither an OCI archive nor one of `docker save`", path,
                "a root file system alone is not an image: make one with `umoci insert`");
  auto index = archive_member(real, "index.json");
  if (!index) index = archive_member(real, "./index.json");
  if (!index) return std::unexpected(index.error());
  return recognise_layout("oci-archive", real, *index);
}

Result<UnpackedImage> fetch_and_unpack(const ImageSource& source, const RegistryAccess& access,
                                       const std::string& directory, bool insecure_registry) {
  const std::string layout = directory + "/layout";
  const std::string temporary = directory + "/tmp";
  BERTH_CHECK(make_directories(temporary, 0700));
  std::vector<std::string> argv = skopeo();
  argv.insert(argv.end(), {"copy", "--quiet"});
  if (insecure_registry) argv.emplace_back("--src-tls-verify=false");
  if (source.transport.starts_with(kRegistry)) add_access(argv, access);
  argv.insert(argv.end(), {source.transport, "oci:" + layout + ":image"});
  BERTH_TRY(const platform::ProcessResult copied, run(argv, kCopyTimeout, temporary));
  if (copied.exit_code != 0)
    return std::unexpected(read_skopeo_error(copied.errors, source.transport));

  BERTH_TRY(UnpackedImage image, read_layout(layout));
  const std::string rootfs = directory + "/rootfs";
  BERTH_TRY(const platform::ProcessResult unpacked,
            run({"umoci", "raw", "unpack", "--image", layout + ":image", rootfs}, kCopyTimeout,
                temporary));
  if (unpacked.exit_code != 0)
    return fail(ErrorCode::kInvalid, "cannot be unpacked: " + last_line(unpacked.errors),
                source.transport, kDamaged);
  BERTH_CHECK(remove_tree(layout));
  BERTH_CHECK(remove_tree(temporary));
  return image;
}

Result<std::string> remote_digest(const ImageReference& reference, const RegistryAccess& access) {
  if (!reference.digest.empty()) return reference.digest;
  std::vector<std::string> argv = skopeo();
  argv.insert(argv.end(), {"inspect", "--raw"});
  if (reference.registry_is_loopback()) argv.emplace_back("--tls-verify=false");
  add_access(argv, access);
  const std::string source = registry_source(reference).transport;
  argv.push_back(source);
  BERTH_TRY(const platform::ProcessResult result, run(argv, kAskTimeout, ""));
  if (result.timed_out)
    return fail(ErrorCode::kUnavailable, "the registry did not answer in time", source,
                "check the way to the registry");
  if (result.exit_code != 0) return std::unexpected(read_skopeo_error(result.errors, source));
  return sha256_digest(result.output);
}

}  // namespace berth::node
