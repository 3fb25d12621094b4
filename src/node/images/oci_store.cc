#include "node/images/oci_store.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "node/files.h"
#include "node/images/digest.h"
#include "node/images/image_config.h"
#include "node/images/mounts_in_use.h"
#include "node/images/reference.h"
#include "node/images/registry_auth.h"
#include "node/images/shared_files.h"
#include "objects/json.h"
#include "platform/process.h"

namespace berth::node {
namespace {

namespace fs = std::filesystem;
using objects::find_bool;
using objects::find_int;
using objects::find_string;

constexpr std::string_view kDigestPrefix = "sha256:";
// A pod that just asked for an image has not mounted it yet.
constexpr Duration kInHand = Duration::minutes(10);

/// A lock on a file, for processes and for threads.
class StoreLock {
 public:
  static Result<StoreLock> take(const std::string& path) {
    StoreLock lock;
    lock.fd_ = platform::Fd(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    if (!lock.fd_.valid()) return errno_error("cannot open", path);
    while (::flock(lock.fd_.get(), LOCK_EX) != 0) {
      if (errno != EINTR) return errno_error("cannot lock", path);
    }
    return lock;
  }

 private:
  platform::Fd fd_;
};

std::string hex_of(const std::string& digest) {
  return digest.starts_with(kDigestPrefix) ? digest.substr(kDigestPrefix.size()) : digest;
}

int64_t tree_size(const std::string& path) {
  int64_t bytes = 0;
  std::error_code error;
  fs::recursive_directory_iterator entry(path, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    struct stat status{};
    if (::lstat(entry->path().c_str(), &status) == 0 && S_ISREG(status.st_mode))
      bytes += status.st_blocks * 512 / static_cast<int64_t>(status.st_nlink);
  }
  return bytes;
}

/// Everything of a finished image is on disk before its name shows.
Result<> sync_file_system(const std::string& path) {
  const platform::Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid() || ::syncfs(directory.get()) != 0)
    return errno_error("cannot write to disk", path);
  return {};
}

/// Handing an image out touches its record.
Time last_used(const std::string& unpacked) {
  struct stat status{};
  if (::stat((unpacked + "/image.json").c_str(), &status) != 0) return {};
  return Time{} + Duration::seconds(status.st_mtim.tv_sec);
}

int disk_percent(const std::string& path) {
  struct statvfs status{};
  if (::statvfs(path.c_str(), &status) != 0 || status.f_blocks == 0) return 0;
  const auto used = status.f_blocks - status.f_bfree;
  return static_cast<int>(100 * used / std::max<fsblkcnt_t>(used + status.f_bavail, 1));
}

/// A directory that goes away with its holder.
class WorkDirectory {
 public:
  static Result<WorkDirectory> make(const std::string& parent) {
    WorkDirectory work;
    work.path_ = parent + "/XXXXXX";
    if (::mkdtemp(work.path_.data()) == nullptr)
      return errno_error("cannot make a directory", parent);
    // Tells a process that clears leftovers that this is none.
    work.lock_ = platform::Fd(::open(work.path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!work.lock_.valid() || ::flock(work.lock_.get(), LOCK_EX) != 0)
      return errno_error("cannot lock", work.path_);
    return work;
  }
  ~WorkDirectory() {
    if (!path_.empty()) (void)remove_tree(path_);
  }
  WorkDirectory(WorkDirectory&& other) noexcept
      : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {}
  WorkDirectory& operator=(WorkDirectory&&) = delete;

  const std::string& path() const { return path_; }

 private:
  WorkDirectory() = default;
  std::string path_;
  platform::Fd lock_;
};

}  // namespace

OciStore::OciStore(OciStoreOptions options, const Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      host_({.state_dir = options_.directory + "/host",
             .extra_dirs = options_.host_dirs,
             .hidden = options_.hidden,
             .root = "/"},
            clock) {}

Result<std::unique_ptr<OciStore>> OciStore::open(OciStoreOptions options, const Clock& clock,
                                                 bool owner) {
  if (options.directory.find_first_of(":,") != std::string::npos)
    return fail(ErrorCode::kInvalid, "a data directory with `:` or `,` cannot hold images",
                options.directory, "choose another --data");
  std::unique_ptr<OciStore> store(new OciStore(std::move(options), clock));
  for (const char* name : {"/refs", "/unpacked", "/work", "/host"})
    BERTH_CHECK(make_directories(store->options_.directory + name, 0711));
  if (!owner) return store;

  // A `berth image import` that runs now holds the lock on its own work.
  std::error_code ignored;
  std::vector<fs::path> left;
  for (const auto& entry : fs::directory_iterator(store->options_.directory + "/work", ignored))
    left.push_back(entry.path());
  for (const fs::path& path : left) {
    const platform::Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory.valid() && ::flock(directory.get(), LOCK_EX | LOCK_NB) == 0)
      BERTH_CHECK(remove_tree(path.string()));
  }
  return store;
}

std::string OciStore::ref_path(const std::string& reference) const {
  return options_.directory + "/refs/" + hex_of(sha256_digest(reference)) + ".json";
}

std::string OciStore::unpacked_path(const std::string& digest) const {
  return options_.directory + "/unpacked/" + hex_of(digest);
}

std::optional<OciStore::Ref> OciStore::read_ref(const std::string& path) const {
  const auto text = read_file(path);
  boost::system::error_code error;
  const Json root = text ? boost::json::parse(*text, error) : Json();
  if (error || !root.is_object()) return std::nullopt;
  Ref ref;
  ref.reference = find_string(root, {"reference"});
  ref.digest = find_string(root, {"digest"});
  ref.source_digest = find_string(root, {"sourceDigest"});
  ref.stored = Time{find_int(root, {"storedNs"})};
  ref.imported = find_bool(root, {"imported"});
  if (ref.reference.empty() || !fs::exists(unpacked_path(ref.digest) + "/image.json"))
    return std::nullopt;
  return ref;
}

std::optional<OciStore::Ref> OciStore::find(const std::string& reference) const {
  return read_ref(ref_path(reference));
}

std::vector<OciStore::Ref> OciStore::refs() const {
  std::vector<Ref> result;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(options_.directory + "/refs", ignored)) {
    if (entry.path().extension() != ".json") continue;
    if (auto ref = read_ref(entry.path().string())) result.push_back(*std::move(ref));
  }
  std::ranges::sort(result, {}, &Ref::reference);
  return result;
}

Result<> OciStore::write_ref(const Ref& ref) const {
  JsonObject root;
  root["reference"] = ref.reference;
  root["digest"] = ref.digest;
  root["sourceDigest"] = ref.source_digest;
  root["storedNs"] = ref.stored.ns;
  root["imported"] = ref.imported;
  return write_file_atomically(ref_path(ref.reference), boost::json::serialize(root));
}

Result<ImageHandle> OciStore::ensure_image(const ImageRequest& request) {
  if (request.reference == kHostImage) return host_.ensure();
  BERTH_TRY(const ImageReference parsed, parse_image_reference(request.reference));
  const std::string name = parsed.to_string();
  const auto present = find(name);
  // An imported image is the newest there is, whatever the policy: nobody pushed it anywhere.
  if (present && (present->imported || request.policy != PullPolicy::kAlways))
    return handle_of(*present, false);
  if (request.policy == PullPolicy::kNever)
    return fail(ErrorCode::kNotFound, "the image is not on this machine", name,
                "bring it with `berth image import FILE`, or let it be pulled "
                "(imagePullPolicy: IfNotPresent)");
  return pull(parsed, request);
}

Result<ImageHandle> OciStore::pull(const ImageReference& reference, const ImageRequest& request) {
  const std::string name = reference.to_string();
  std::shared_ptr<std::mutex> turn;
  {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<std::mutex>& slot = fetching_[name];
    if (!slot) slot = std::make_shared<std::mutex>();
    turn = slot;
  }
  const std::lock_guard lock(*turn);
  auto present = find(name);  // another pod's pull may have ended meanwhile
  if (present && request.policy != PullPolicy::kAlways) return handle_of(*present, false);
  RegistryAccess access = options_.access;
  std::optional<WorkDirectory> secret;
  if (!request.auths.empty()) {
    // The pod's entries first; the machine's own, which the administrator gave, for the rest.
    const Result<std::string> own = read_file(access.auth_file);
    BERTH_TRY(WorkDirectory made, WorkDirectory::make(options_.directory + "/work"));
    access.auth_file = made.path() + "/auth.json";
    BERTH_CHECK(write_file_atomically(access.auth_file,
                                      merge_auths({request.auths, own.value_or("")}), 0600));
    secret.emplace(std::move(made));
  }
  BERTH_TRY(const std::string digest, remote_digest(reference, access));
  if (present && present->source_digest == digest) return handle_of(*present, false);
  // Room is made when it is needed; what cannot be removed is no reason not to pull.
  (void)collect_garbage();
  BERTH_TRY(Ref ref, fetch(registry_source(reference), name, reference.registry_is_loopback(),
                           digest, access));
  return handle_of(ref, true);
}

Result<ImageHandle> OciStore::handle_of(const Ref& ref, bool pulled) const {
  const std::string path = unpacked_path(ref.digest);
  BERTH_TRY(const std::string text, read_file(path + "/image.json"));
  boost::system::error_code error;
  const Json root = boost::json::parse(text, error);
  if (error)
    return fail(ErrorCode::kInternal, "the image's record is damaged", path + "/image.json",
                "remove the image with `berth image rm` and bring it again");
  ImageHandle handle;
  handle.reference = ref.reference;
  handle.digest = ref.digest;
  handle.rootfs = path + "/rootfs";
  BERTH_TRY(handle.config, parse_image_config(find_string(root, {"config"}), host_architecture()));
  handle.pulled = pulled;
  // Garbage collection goes by when an image was last asked for.
  ::utimensat(AT_FDCWD, (path + "/image.json").c_str(), nullptr, 0);
  return handle;
}

Result<OciStore::Ref> OciStore::fetch(const ImageSource& source, const std::string& name,
                                      bool insecure, const std::string& source_digest,
                                      const RegistryAccess& access) {
  BERTH_TRY(const WorkDirectory work, WorkDirectory::make(options_.directory + "/work"));
  BERTH_TRY(const UnpackedImage image, fetch_and_unpack(source, access, work.path(), insecure));
  BERTH_TRY([[maybe_unused]] const ImageConfig config,
            parse_image_config(image.config, host_architecture()));
  JsonObject record;
  record["config"] = image.config;
  record["sizeBytes"] = tree_size(work.path() + "/rootfs");
  BERTH_CHECK(write_file_atomically(work.path() + "/image.json", boost::json::serialize(record)));
  if (const std::string nearest = nearest_rootfs(image.config); !nearest.empty()) {
    const int64_t freed = share_files(work.path() + "/rootfs", nearest);
    spdlog::debug("images: {} shares {} bytes with an image that is here", name, freed);
  }
  ::chmod((work.path() + "/rootfs").c_str(), 0755);
  ::chmod(work.path().c_str(), 0711);
  BERTH_CHECK(sync_file_system(work.path()));

  Ref ref{.reference = name,
          .digest = image.digest,
          .source_digest = source_digest,
          .stored = clock_.now(),
          .imported = source_digest.empty()};
  BERTH_TRY(const StoreLock lock, StoreLock::take(options_.directory + "/lock"));
  const auto before = find(name);
  const std::string path = unpacked_path(ref.digest);
  if (!fs::exists(path + "/image.json")) {
    BERTH_CHECK(remove_tree(path));
    if (::rename(work.path().c_str(), path.c_str()) != 0)
      return errno_error("cannot put the image in place", path);
  }
  BERTH_CHECK(write_ref(ref));
  // What the name stood for before is garbage, unless a container or another name needs it.
  if (before && before->digest != ref.digest) BERTH_CHECK(drop_unnamed(before->digest));
  return ref;
}

std::string OciStore::nearest_rootfs(const std::string& config) const {
  std::string nearest;
  size_t most = 0;
  for (const Ref& ref : refs()) {
    const auto text = read_file(unpacked_path(ref.digest) + "/image.json");
    boost::system::error_code error;
    const Json root = text ? boost::json::parse(*text, error) : Json();
    const size_t common = error ? 0 : layers_in_common(config, find_string(root, {"config"}));
    if (common <= most) continue;
    most = common;
    nearest = unpacked_path(ref.digest) + "/rootfs";
  }
  return nearest;
}

Result<> OciStore::drop_unnamed(const std::string& digest) const {
  const std::vector<Ref> named = refs();
  if (std::ranges::find(named, digest, &Ref::digest) != named.end()) return {};
  if (mounted_below(options_.directory + "/unpacked").contains(hex_of(digest))) return {};
  return remove_tree(unpacked_path(digest));
}

Result<StoredImage> OciStore::import(const std::string& path, const std::string& name) {
  BERTH_TRY(const ImageSource source, recognise_image(path));
  const std::string chosen = name.empty() ? source.suggested_name : name;
  if (chosen.empty())
    return fail(ErrorCode::kInvalid, "the image does not say its name", path,
                "give one with --name, such as --name trainer:1");
  if (chosen == kHostImage)
    return fail(ErrorCode::kInvalid, "`host` is the name of this machine's own image", path,
                "give another one with --name");
  BERTH_TRY(const ImageReference reference, parse_image_reference(chosen));
  BERTH_TRY(const Ref ref, fetch(source, reference.to_string(), false, "", options_.access));
  return describe(ref, mounted_below(options_.directory + "/unpacked"));
}

StoredImage OciStore::describe(const Ref& ref, const std::set<std::string>& mounted) const {
  StoredImage image{.reference = ref.reference,
                    .digest = ref.digest,
                    .size_bytes = 0,
                    .stored = ref.stored,
                    .imported = ref.imported,
                    .in_use = mounted.contains(hex_of(ref.digest))};
  const auto text = read_file(unpacked_path(ref.digest) + "/image.json");
  boost::system::error_code error;
  const Json root = text ? boost::json::parse(*text, error) : Json();
  if (!error) image.size_bytes = find_int(root, {"sizeBytes"});
  return image;
}

std::vector<StoredImage> OciStore::list() const {
  const std::set<std::string> mounted = mounted_below(options_.directory + "/unpacked");
  std::vector<StoredImage> result;
  for (const Ref& ref : refs()) result.push_back(describe(ref, mounted));
  return result;
}

Result<> OciStore::remove(const std::string& reference) {
  if (reference == kHostImage)
    return fail(ErrorCode::kInvalid, "`host` is this machine itself, not a stored image");
  BERTH_TRY(const ImageReference parsed, parse_image_reference(reference));
  const std::string name = parsed.to_string();
  BERTH_TRY(const StoreLock lock, StoreLock::take(options_.directory + "/lock"));
  const auto ref = find(name);
  if (!ref)
    return fail(ErrorCode::kNotFound, "there is no such image", name,
                "`berth image ls` shows what there is");
  const std::vector<Ref> named = refs();
  const bool last = std::ranges::count(named, ref->digest, &Ref::digest) == 1;
  if (last && mounted_below(options_.directory + "/unpacked").contains(hex_of(ref->digest)))
    return fail(ErrorCode::kConflict, "a container uses the image", name,
                "delete the pods that use it first");
  return remove_locked(*ref);
}

Result<> OciStore::remove_locked(const Ref& ref) const {
  if (::unlink(ref_path(ref.reference).c_str()) != 0 && errno != ENOENT)
    return errno_error("cannot remove", ref_path(ref.reference));
  return drop_unnamed(ref.digest);
}

Result<std::vector<std::string>> OciStore::collect_garbage() {
  std::vector<std::string> gone;
  if (disk_percent(options_.directory) < options_.gc_high_percent) return gone;
  BERTH_TRY(const StoreLock lock, StoreLock::take(options_.directory + "/lock"));
  const std::set<std::string> mounted = mounted_below(options_.directory + "/unpacked");

  // Leftovers without a name, then what was not asked for longest.
  std::vector<std::string> unnamed;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(options_.directory + "/unpacked", error))
    unnamed.push_back(std::string(kDigestPrefix) + entry.path().filename().string());
  for (const std::string& digest : unnamed) BERTH_CHECK(drop_unnamed(digest));

  std::vector<std::pair<Time, Ref>> candidates;
  for (Ref& ref : refs()) {
    // An imported image could not be brought back.
    if (ref.imported || mounted.contains(hex_of(ref.digest))) continue;
    const Time used = last_used(unpacked_path(ref.digest));
    if (clock_.now() - used > kInHand) candidates.emplace_back(used, std::move(ref));
  }
  std::ranges::sort(candidates, {}, [](const auto& candidate) { return candidate.first; });
  for (const auto& [used, ref] : candidates) {
    if (disk_percent(options_.directory) < options_.gc_low_percent) break;
    BERTH_CHECK(remove_locked(ref));
    gone.push_back(ref.reference);
  }
  return gone;
}

}  // namespace berth::node
