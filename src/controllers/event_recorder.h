#pragma once

#include <list>
#include <string>
#include <unordered_map>
#include <utility>

#include "client/api_client.h"
#include "controllers/write.h"

namespace berth::controllers {

/// Turns notes into Events. A note that repeats raises the count of its Event instead of making a
/// new one. Best effort: an Event that cannot be written is not tried again.
class EventRecorder {
 public:
  explicit EventRecorder(client::ApiClient& client) : client_(client) {}

  void record(const Note& note, Time now);

 private:
  struct Written {
    std::string name;
    int64_t count = 1;
  };
  using Entry = std::pair<std::string, Written>;

  client::ApiClient& client_;
  std::list<Entry> recent_;  ///< newest first
  std::unordered_map<std::string, std::list<Entry>::iterator> index_;
};

}  // namespace berth::controllers
