#include <memory>
#include <set>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "objects/schema.h"

namespace berth::cli {
namespace {

struct Words {
  std::string commands;
  std::string kinds;
  std::string nested;  ///< shell case arms: `queue) words="ls tree" ;;`
};

Words words_of(const CLI::App& root) {
  Words words;
  for (const CLI::App* command : root.get_subcommands(nullptr)) {
    words.commands += (words.commands.empty() ? "" : " ") + command->get_name();
    std::string below;
    for (const CLI::App* sub : command->get_subcommands(nullptr)) {
      below += (below.empty() ? "" : " ") + sub->get_name();
    }
    if (!below.empty()) {
      words.nested += fmt::format("      {}) words=\"{}\" ;;\n", command->get_name(), below);
    }
  }
  for (const objects::Kind* kind : objects::Registry::built_in()->kinds()) {
    if (kind->plural.empty() || kind->group == "metrics.k8s.io") continue;
    words.kinds += (words.kinds.empty() ? "" : " ") + std::string(kind->plural);
  }
  return words;
}

// Names of objects are asked of the server, through `get -o name`.
constexpr std::string_view kBash = R"SH(# berth completion for bash: source <(berth completion bash)
_berth() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" command="" kind="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${{COMP_WORDS[i]}}" in
      -n|--namespace|-l|--selector|-o|--output|--kubeconfig|--context|-f|--filename|-c) ((i++)) ;;
      -*) ;;
      *) if [[ -z $command ]]; then command="${{COMP_WORDS[i]}}"; elif [[ -z $kind ]]; then kind="${{COMP_WORDS[i]}}"; fi ;;
    esac
  done
  if [[ -z $command ]]; then
    words="{commands}"
  else
    case "$command" in
{nested}      get|describe|delete|explain|scale)
        if [[ -z $kind ]]; then words="{kinds}"
        else words="$(berth get "$kind" -o name 2>/dev/null | sed 's|.*/||')"; fi ;;
      logs) words="$(berth get pods -o name 2>/dev/null | sed 's|.*/||')" ;;
      apply) COMPREPLY=($(compgen -f -- "$current")); return ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -F _berth berth
)SH";

constexpr std::string_view kZsh = R"SH(#compdef berth
# berth completion for zsh: source <(berth completion zsh)
autoload -U +X bashcompinit && bashcompinit
{bash})SH";

constexpr std::string_view kFish = R"SH(# berth completion for fish: berth completion fish | source
complete -c berth -f
complete -c berth -n __fish_use_subcommand -a "{commands}"
for command in get describe delete explain scale
  complete -c berth -n "__fish_seen_subcommand_from $command" -a "{kinds}"
end
complete -c berth -n "__fish_seen_subcommand_from logs" -a "(berth get pods -o name 2>/dev/null | string replace -r '.*/' '')"
complete -c berth -n "__fish_seen_subcommand_from apply" -F
)SH";

}  // namespace

void add_completion(CLI::App& root, int& exit_code) {
  auto shell = std::make_shared<std::string>();
  auto* command = root.add_subcommand("completion", "Print a script that completes berth's words");
  command->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer("Example:\n  source <(berth completion bash)");
  command->callback([&root, &exit_code, shell] {
    const Words words = words_of(root);
    const std::string bash =
        fmt::format(kBash, fmt::arg("commands", words.commands), fmt::arg("kinds", words.kinds),
                    fmt::arg("nested", words.nested));
    if (*shell == "bash") fmt::print("{}", bash);
    if (*shell == "zsh") fmt::print(kZsh, fmt::arg("bash", bash));
    if (*shell == "fish") {
      fmt::print(kFish, fmt::arg("commands", words.commands), fmt::arg("kinds", words.kinds));
    }
    exit_code = 0;
  });
}

}  // namespace berth::cli
