#pragma once

#include <string>

#include "base/time.h"

namespace CLI {
class App;
}

namespace berth::cli {

/// The options that every command that talks to a server takes, wherever they stand on the line.
struct Globals {
  std::string kubeconfig;        ///< empty: found as endpoint.h says
  std::string context;           ///< empty: the kubeconfig's current one
  std::string ns;                ///< empty: the context's, else `default`
  const Clock* clock = nullptr;  ///< for ages; set by app
};

/// `globals` outlives the parse.
void add_globals(CLI::App& root, Globals& globals);

}  // namespace berth::cli
