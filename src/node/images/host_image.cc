#include "node/images/host_image.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "node/images/public_tree.h"

namespace berth::node {
namespace {

namespace fs = std::filesystem;

// Looking for changes costs a walk of /etc: not for every pod of a burst.
constexpr Duration kFreshFor = Duration::seconds(5);
// What becomes private in /opt and /usr/local shows in containers that run anyway.
constexpr Duration kSearchedFor = Duration::minutes(5);

constexpr std::array kSystemEntries = {"usr",   "bin",    "sbin", "lib", "lib32",
                                       "lib64", "libx32", "nix",  "gnu", "snap"};

constexpr std::array kSkeletonDirs = {"dev",       "etc",     "home",    "mnt",     "opt",
                                      "proc",      "root",    "run",     "sys",     "tmp",
                                      "var/cache", "var/lib", "var/log", "var/tmp", "srv"};

// The directories of installed software that sometimes hold credentials.
constexpr std::array kCheckedForPrivate = {"opt", "usr/local"};
constexpr int kCheckedDepth = 4;

// Readable by all on some machines, and yet nothing for a tenant.
const std::vector<std::string> kExcludedFromEtc = {
    "shadow",        "shadow-",    "gshadow",    "gshadow-",  "ssh/ssh_host_*",
    "ssl/private",   "kubernetes", "rancher",    "cni",       "krb5.keytab",
    "wireguard",     "berth",      "sudoers",    "sudoers.d", "security/opasswd",
    "letsencrypt",   "docker",     "containers", "munge",     ".git",
    "NetworkManager"};
// The runtime mounts the pod's own over these.
const std::vector<std::string> kEtcPlaceholders = {"hosts", "hostname", "resolv.conf"};

class Builder {
 public:
  Builder(const HostImageOptions& options, const PrivatePaths& hidden)
      : options_(options), private_(hidden), rootfs_(options.state_dir + "/rootfs") {}

  Result<ImageHandle> build() {
    for (const char* directory : kSkeletonDirs)
      BERTH_CHECK(make_directory(std::string("/") + directory));
    BERTH_CHECK(make_link("/run", "/var/run"));
    std::error_code error;
    fs::create_directories(empty_dir(), error);
    std::ofstream(empty_file(), std::ios::app).flush();
    if (error || !fs::exists(empty_file()))
      return fail(ErrorCode::kInternal, "cannot write: " + error.message(), options_.state_dir);
    ::chmod(empty_dir().c_str(), 0555);
    ::chmod(empty_file().c_str(), 0444);

    mountinfo_ = read_file("/proc/self/mountinfo");
    for (const char* entry : kSystemEntries) BERTH_CHECK(show(std::string("/") + entry));
    BERTH_CHECK(show_public_entries("/opt"));
    BERTH_CHECK(show_etc());
    for (const std::string& directory : options_.extra_dirs) BERTH_CHECK(show(directory));
    hide_private();
    for (const std::string& path : options_.hidden) hide(path);

    ImageHandle handle;
    handle.reference = kHostImage;
    handle.digest = kHostImage;
    handle.rootfs = rootfs_;
    handle.mounts = std::move(mounts_);
    handle.scratch_dirs = {"/tmp", "/var/tmp", "/run"};
    handle.always_read_only = true;
    handle.config.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                         "HOME=/tmp", "LANG=C.UTF-8"};
    handle.config.working_dir = "/tmp";
    return handle;
  }

 private:
  std::string empty_dir() const { return options_.state_dir + "/empty"; }
  std::string empty_file() const { return options_.state_dir + "/empty-file"; }
  /// Where `path` of the image is on this machine.
  std::string on_host(const std::string& path) const {
    return options_.root == "/" ? path : options_.root + path;
  }

  static std::string read_file(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  Result<> make_directory(const std::string& path) {
    std::error_code error;
    fs::create_directories(rootfs_ + path, error);
    if (error)
      return fail(ErrorCode::kInternal, "cannot make the directory: " + error.message(),
                  rootfs_ + path);
    return {};
  }

  Result<> make_link(const std::string& target, const std::string& path) {
    std::error_code error;
    const std::string link = rootfs_ + path;
    if (fs::read_symlink(link, error) == target) return {};
    fs::remove_all(link, error);
    fs::create_symlink(target, link, error);
    if (error) return fail(ErrorCode::kInternal, "cannot link: " + error.message(), link);
    return {};
  }

  /// Mounts this machine's `path`, or repeats the link that it is. What is not there is left out.
  Result<> show(const std::string& path) {
    std::error_code error;
    const fs::file_status status = fs::symlink_status(on_host(path), error);
    if (!fs::exists(status)) return {};
    if (fs::is_symlink(status)) {
      fs::create_directories(fs::path(rootfs_ + path).parent_path(), error);
      return make_link(fs::read_symlink(on_host(path), error).string(), path);
    }
    BERTH_CHECK(mount_here(path, fs::is_directory(status)));
    for (const std::string& below : mount_points_below(mountinfo_, on_host(path))) {
      const std::string target = options_.root == "/" ? below : below.substr(options_.root.size());
      if (is_public(below)) mounts_.push_back({below, target, true});
    }
    return {};
  }

  Result<> mount_here(const std::string& path, bool directory) {
    if (directory) {
      BERTH_CHECK(make_directory(path));
    } else {
      BERTH_CHECK(make_directory(fs::path(path).parent_path().string()));
      std::ofstream(rootfs_ + path, std::ios::app).flush();
    }
    mounts_.push_back({on_host(path), path, true});
    return {};
  }

  Result<> show_public_entries(const std::string& directory) {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(on_host(directory), error))
      names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    for (const std::string& name : names) {
      const std::string path = directory + "/" + name;
      if (is_public(on_host(path))) BERTH_CHECK(show(path));
    }
    return {};
  }

  Result<> show_etc() {
    const std::string copy = options_.state_dir + "/etc";
    BERTH_CHECK(sync_public_tree(on_host("/etc"), copy,
                                 {.excluded = kExcludedFromEtc,
                                  .placeholders = kEtcPlaceholders,
                                  .max_file_bytes = 16 << 20}));
    mounts_.push_back({copy, "/etc", true});
    return {};
  }

  void hide_private() {
    for (const std::string& path : private_.directories) cover(path, empty_dir());
    for (const std::string& path : private_.files) cover(path, empty_file());
  }

  void hide(const std::string& path) {
    std::error_code error;
    const fs::path real = fs::weakly_canonical(path, error);
    if (!error && fs::exists(real)) cover(real.string(), empty_dir());
  }

  /// Covers a path of this machine, where a mount shows it.
  void cover(const std::string& host_path, const std::string& cover_with) {
    const std::string path =
        options_.root == "/" ? host_path : host_path.substr(options_.root.size());
    bool shown = false;
    for (const ImageMount& mount : mounts_) {
      if (path != mount.target && !path.starts_with(mount.target + "/")) continue;
      if (mount.source == empty_dir()) return;
      shown = true;
    }
    if (shown) mounts_.push_back({cover_with, path, true});
  }

  const HostImageOptions& options_;
  const PrivatePaths& private_;
  const std::string rootfs_;
  std::string mountinfo_;
  std::vector<ImageMount> mounts_;
};

/// mountinfo writes blanks and backslashes as \040 and the like.
std::string unescape(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && std::isdigit(text[i + 1]) != 0) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                  (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

}  // namespace

std::vector<std::string> mount_points_below(const std::string& mountinfo,
                                            const std::string& directory) {
  std::vector<std::string> points;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const std::vector<std::string_view> fields = split(line, ' ');
    if (fields.size() < 5) continue;
    std::string point = unescape(fields[4]);
    if (point.starts_with(directory + "/")) points.push_back(std::move(point));
  }
  std::ranges::sort(points);
  points.erase(std::ranges::unique(points).begin(), points.end());
  return points;
}

HostImage::HostImage(HostImageOptions options, const Clock& clock)
    : options_(std::move(options)), clock_(clock) {}

PrivatePaths HostImage::find_private() const {
  PrivatePaths all;
  const std::string root = options_.root == "/" ? "" : options_.root;
  for (const char* directory : kCheckedForPrivate) {
    PrivatePaths found = find_private_paths(root + "/" + directory, kCheckedDepth);
    all.files.insert(all.files.end(), found.files.begin(), found.files.end());
    all.directories.insert(all.directories.end(), found.directories.begin(),
                           found.directories.end());
  }
  return all;
}

Result<ImageHandle> HostImage::ensure() {
  const std::lock_guard lock(mutex_);
  const Time now = clock_.now();
  if (handle_ && now - built_ < kFreshFor && now >= built_) return *handle_;
  if (!private_ || now - searched_ >= kSearchedFor || now < searched_) {
    private_ = find_private();
    searched_ = now;
  }
  BERTH_TRY(handle_, Builder(options_, *private_).build());
  built_ = now;
  return *handle_;
}

}  // namespace berth::node
