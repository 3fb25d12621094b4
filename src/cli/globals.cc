#include "cli/globals.h"

#include <CLI/CLI.hpp>

namespace berth::cli {

void add_globals(CLI::App& root, Globals& globals) {
  root.add_option("--kubeconfig", globals.kubeconfig,
                  "File that says where the server is (default: $KUBECONFIG, else the one that "
                  "`berth serve` wrote)")
      ->type_name("FILE")
      ->group("Server");
  root.add_option("--context", globals.context, "Context of the kubeconfig to use")
      ->type_name("NAME")
      ->group("Server");
  root.add_option("-n,--namespace", globals.ns, "Namespace (default: the context's)")
      ->type_name("NAME")
      ->group("Server");
}

}  // namespace berth::cli
