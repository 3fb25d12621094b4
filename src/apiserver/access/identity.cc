#include "apiserver/access/identity.h"

#include <algorithm>
#include <mutex>

#include "platform/tls/crypto.h"

namespace berth::apiserver {
namespace {

constexpr std::string_view kUsers = "users.internal.berth.dev";
constexpr std::string_view kAdministrators = "system:masters";

Json to_json(const Identity::User& user) {
  JsonArray groups;
  for (const std::string& group : user.groups) groups.emplace_back(group);
  JsonObject body{{"metadata", JsonObject{{"name", user.name}}},
                  {"groups", std::move(groups)},
                  {"tokenSha256", user.token_sha256}};
  if (user.uid) body["uid"] = *user.uid;
  return body;
}

Identity::User from_json(const Json& body) {
  Identity::User user;
  user.name = objects::name_of(body);
  for (const Json& group : objects::find_array(body, {"groups"})) {
    user.groups.emplace_back(objects::find_string(group, {}));
  }
  user.token_sha256 = objects::find_string(body, {"tokenSha256"});
  if (objects::find(body, {"uid"}) != nullptr) {
    user.uid = static_cast<uint32_t>(objects::find_int(body, {"uid"}));
  }
  return user;
}

Caller caller_for(const Identity::User& user) {
  Caller caller{user.name, user.groups, false, user.uid};
  caller.groups.emplace_back("system:authenticated");
  caller.admin = std::ranges::find(user.groups, kAdministrators) != user.groups.end();
  return caller;
}

}  // namespace

Identity::Identity(Store& store, uint32_t owner) : store_(store), owner_(owner) {
  Store::ListQuery query;
  query.resource = kUsers;
  const auto stored = store_.list(query);
  if (!stored) return;
  for (const Store::Item& item : stored->items) {
    User user = from_json(*item.object->tree());
    name_by_hash_[user.token_sha256] = user.name;
    users_[user.name] = std::move(user);
  }
}

std::optional<Caller> Identity::by_token(std::string_view token) const {
  // What is looked up is a hash of the token: how long it takes tells nothing about the token.
  const std::string hash = platform::sha256_hex(token);
  const std::shared_lock lock(mutex_);
  const auto name = name_by_hash_.find(hash);
  if (name == name_by_hash_.end()) return std::nullopt;
  const User& user = users_.at(name->second);
  if (!platform::equal_in_constant_time(user.token_sha256, hash)) return std::nullopt;
  Caller caller = caller_for(user);
  caller.uid.reset();  // a token can be copied: it does not vouch for a user id
  return caller;
}

Caller Identity::by_uid(uint32_t uid) const {
  if (uid == 0 || uid == owner_) {
    return {"local:" + std::to_string(uid), {std::string(kAdministrators)}, true, uid};
  }
  const std::shared_lock lock(mutex_);
  for (const auto& [unused, user] : users_) {
    if (user.uid == uid) return caller_for(user);
  }
  return {"local:" + std::to_string(uid), {"system:authenticated"}, false, uid};
}

void Identity::put(User user, std::function<void(Result<std::string>)> done) {
  const std::string token = platform::base64_url(platform::random_bytes(32));
  user.token_sha256 = platform::sha256_hex(token);
  Json body = to_json(user);
  const StoreKey key{std::string(kUsers), "", user.name};
  store_.write(
      [key, body = std::move(body)](Transaction& transaction) {
        transaction.put(key, body);
        return true;
      },
      [this, user = std::move(user), token, done = std::move(done)](const Result<>& kept) {
        if (!kept) return done(std::unexpected(kept.error()));
        {
          const std::unique_lock lock(mutex_);
          if (const auto former = users_.find(user.name); former != users_.end()) {
            name_by_hash_.erase(former->second.token_sha256);
          }
          name_by_hash_[user.token_sha256] = user.name;
          users_[user.name] = user;
        }
        done(token);
      });
}

std::vector<Identity::User> Identity::users() const {
  const std::shared_lock lock(mutex_);
  std::vector<User> all;
  all.reserve(users_.size());
  for (const auto& [unused, user] : users_) all.push_back(user);
  return all;
}

bool Identity::has_token(std::string_view name, std::string_view token) const {
  const std::optional<Caller> caller = by_token(token);
  return caller && caller->user == name;
}

}  // namespace berth::apiserver
