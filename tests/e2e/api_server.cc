// The API server alone, for tests with real clients: `api_server DIR`. Prints its address when it
// is ready, and runs until its standard input closes.

#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>

#include "apiserver/server.h"

namespace {

class WallClock final : public berth::Clock {
 public:
  berth::Time now() const override {
    return {std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count()};
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: api_server DIR\n", stderr);
    return 2;
  }
  const WallClock clock;
  berth::apiserver::ServerOptions options;
  options.data_dir = argv[1];
  options.clock = &clock;
  const auto server = berth::apiserver::Server::start(options);
  if (!server) {
    std::fprintf(stderr, "%s\n", server.error().to_string().c_str());
    return 1;
  }
  std::puts((*server)->address().c_str());
  std::fflush(stdout);
  std::string line;
  while (std::getline(std::cin, line)) {
  }
  return 0;
}
