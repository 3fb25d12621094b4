#include "node/network/planning_lock.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/file.h>

#include "node/files.h"

namespace berth::node {
namespace {

constexpr char kFolder[] = "/run/berth";
constexpr char kFile[] = "/run/berth/network.lock";

}  // namespace

PlanningLock::PlanningLock() {
  (void)make_directories(kFolder, 0755);
  file_ = platform::Fd(::open(kFile, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  while (file_.valid() && ::flock(file_.get(), LOCK_EX) != 0 && errno == EINTR) {
  }
}

}  // namespace berth::node
