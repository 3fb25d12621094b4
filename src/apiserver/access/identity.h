#pragma once

#include <map>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "apiserver/api/request.h"
#include "apiserver/storage/store.h"

namespace berth::apiserver {

/// Who the users are. Only hashes of tokens are kept, in a resource of the store that the API does
/// not serve.
class Identity {
 public:
  struct User {
    std::string name;
    std::vector<std::string> groups;
    std::optional<uint32_t> uid;  ///< of this machine: who they are at the local socket
    std::string token_sha256;
  };

  /// `owner` is the user id that runs the server: an administrator, as root is.
  Identity(Store& store, uint32_t owner);

  std::optional<Caller> by_token(std::string_view token) const;
  /// A user id nobody was added for may look around like any user, and do no more.
  Caller by_uid(uint32_t uid) const;

  /// Adds a user, or replaces one of that name, and gives the token: the only time that it is seen.
  /// `done` gets it once it is durable.
  void put(User user, std::function<void(Result<std::string>)> done);
  std::vector<User> users() const;
  bool has_token(std::string_view name, std::string_view token) const;

 private:
  Store& store_;
  const uint32_t owner_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, User, std::less<>> users_;
  std::map<std::string, std::string, std::less<>> name_by_hash_;
};

}  // namespace berth::apiserver
