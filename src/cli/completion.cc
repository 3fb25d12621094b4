#include <algorithm>
#include <memory>
#include <set>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "objects/schema.h"

namespace berth::cli {
namespace {

/// Everything that can be completed without asking a server.
struct Words {
  std::string commands;
  std::string kinds;
  std::string nested;       ///< shell case arms: `queue) words="ls tree" ;;`
  std::string options;      ///< shell case arms: `"queue create") words="--parent ..." ;;`
  std::string with_values;  ///< of all commands, as a shell pattern: `-n|--namespace|-o`
  std::string everywhere;   ///< options that every command takes
  std::string fish;         ///< fish's lines for options and nested commands
};

void append(std::string& list, std::string_view word, std::string_view separator = " ") {
  if (!list.empty()) list += separator;
  list += word;
}

std::string options_of(const CLI::App& command, std::set<std::string>& with_values) {
  std::string words;
  for (const CLI::Option* option : command.get_options([](const CLI::Option*) { return true; })) {
    if (!option->nonpositional() || option->get_group().empty()) continue;
    for (const std::string& name : option->get_lnames()) append(words, "--" + name);
    if (option->get_type_size() == 0) continue;
    for (const std::string& name : option->get_lnames()) with_values.insert("--" + name);
    for (const std::string& name : option->get_snames()) with_values.insert("-" + name);
  }
  return words;
}

std::string quoted_for_fish(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

/// `path` is the command as it is typed: `queue create`.
void add_command_words(const CLI::App& command, const std::string& path, Words& words,
                       std::set<std::string>& with_values) {
  words.options +=
      fmt::format("      \"{}\") words=\"{}\" ;;\n", path, options_of(command, with_values));
  std::string condition;
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find(' ', at), path.size());
    append(condition, "__fish_seen_subcommand_from " + path.substr(at, end - at), "; and ");
    at = end + 1;
  }
  for (const CLI::Option* option : command.get_options([](const CLI::Option*) { return true; })) {
    if (!option->nonpositional()) continue;
    words.fish += fmt::format("complete -c berth -n '{}'", condition);
    for (const std::string& name : option->get_lnames()) words.fish += " -l " + name;
    for (const std::string& name : option->get_snames()) words.fish += " -s " + name;
    const bool is_format = option->check_lname("output");
    words.fish += fmt::format("{} -d {}\n",
                              is_format                      ? " -x -a 'json yaml wide name'"
                              : option->get_type_size() == 0 ? ""
                                                             : " -r",
                              quoted_for_fish(option->get_description()));
  }
  std::string below;
  for (const CLI::App* sub : command.get_subcommands(nullptr)) {
    append(below, sub->get_name());
    add_command_words(*sub, path + " " + sub->get_name(), words, with_values);
  }
  if (below.empty()) return;
  words.nested += fmt::format("      {}) nested=\"{}\" ;;\n", path, below);
  words.fish +=
      fmt::format("complete -c berth -n '{0}; and not __fish_seen_subcommand_from {1}' -a '{1}'\n",
                  condition, below);
}

Words words_of(const CLI::App& root) {
  Words words;
  std::set<std::string> with_values;
  words.everywhere = options_of(root, with_values);
  for (const CLI::App* command : root.get_subcommands(nullptr)) {
    append(words.commands, command->get_name());
    add_command_words(*command, command->get_name(), words, with_values);
  }
  for (const std::string& name : with_values) append(words.with_values, name, "|");
  const std::unique_ptr<objects::Registry> registry = objects::Registry::built_in();
  for (const objects::Kind* kind : registry->kinds()) {
    if (kind->plural.empty() || kind->group == "metrics.k8s.io") continue;
    append(words.kinds, kind->plural);
  }
  return words;
}

// Names of objects are asked of the server that the line so far means.
constexpr std::string_view kBash = R"SH(# berth completion for bash: source <(berth completion bash)
_berth() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
  local command="" kind="" nested="" words="" i
  local -a server=()
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${{COMP_WORDS[i]}}" in
      --) return ;;
      -n|--namespace|--kubeconfig|--context)
        (( i + 1 < COMP_CWORD )) && server+=("${{COMP_WORDS[i]}}" "${{COMP_WORDS[i+1]}}")
        i=$((i + 1)) ;;
      {with_values}) i=$((i + 1)) ;;
      -*) ;;
      *) if [[ -z $command ]]; then command="${{COMP_WORDS[i]}}"; elif [[ -z $kind ]]; then kind="${{COMP_WORDS[i]}}"; fi ;;
    esac
  done
  case "$command" in
{nested}  esac
  case "$before" in
    -o|--output) COMPREPLY=($(compgen -W "json yaml wide name" -- "$current")); return ;;
    -n|--namespace) words="$(_berth_names namespaces)" ;;
    {with_values}) COMPREPLY=($(compgen -f -- "$current")); return ;;
    *)
      if [[ $current == -* ]]; then
        if [[ -n $nested ]]; then command="$command${{kind:+ $kind}}"; fi
        case "$command" in
{options}        esac
        words="$words {everywhere}"
      elif [[ -z $command ]]; then
        words="{commands}"
      elif [[ -n $nested && -z $kind ]]; then
        words="$nested"
      else
        case "$command" in
          get|describe|delete|explain|scale)
            if [[ -z $kind ]]; then words="{kinds}"
            else words="$(_berth_names "$kind")"; fi ;;
          logs) words="$(_berth_names pods)" ;;
          completion) words="bash zsh fish" ;;
          *) COMPREPLY=($(compgen -f -- "$current")); return ;;
        esac
      fi ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
_berth_names() {{
  berth ${{server[@]+"${{server[@]}}"}} get "$1" -o name 2>/dev/null | sed 's|.*/||'
}}
complete -F _berth berth
)SH";

constexpr std::string_view kZsh = R"SH(#compdef berth
# berth completion for zsh: source <(berth completion zsh)
(( $+functions[compdef] )) || {{ autoload -U +X compinit && compinit -u }}
autoload -U +X bashcompinit && bashcompinit
{bash})SH";

constexpr std::string_view kFish = R"SH(# berth completion for fish: berth completion fish | source
function __berth_names
  berth get $argv[1] -o name 2>/dev/null | string replace -r '.*/' ''
end
function __berth_kind
  set -l words (commandline -opc)
  test (count $words) -ge 3; and echo $words[3]
end
complete -c berth -f
complete -c berth -n __fish_use_subcommand -a "{commands}"
complete -c berth -n __fish_use_subcommand -l kubeconfig -r -F
complete -c berth -s n -l namespace -x -a "(__berth_names namespaces)"
{fish}for command in get describe delete explain scale
  complete -c berth -n "__fish_seen_subcommand_from $command; and not __berth_kind >/dev/null" -a "{kinds}"
  complete -c berth -n "__fish_seen_subcommand_from $command; and __berth_kind >/dev/null" -a "(__berth_names (__berth_kind))"
end
complete -c berth -n "__fish_seen_subcommand_from logs" -a "(__berth_names pods)"
complete -c berth -n "__fish_seen_subcommand_from completion" -a "bash zsh fish"
complete -c berth -n "__fish_seen_subcommand_from apply" -F
)SH";

}  // namespace

void add_completion(CLI::App& root, int& exit_code) {
  auto shell = std::make_shared<std::string>();
  auto* command = root.add_subcommand("completion", "Print a script that completes berth's words");
  command->add_option("SHELL", *shell, "bash, zsh or fish")
      ->type_name("")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer("Example:\n  source <(berth completion bash)");
  command->callback([&root, &exit_code, shell] {
    const Words words = words_of(root);
    const std::string bash = fmt::format(
        kBash, fmt::arg("commands", words.commands), fmt::arg("kinds", words.kinds),
        fmt::arg("nested", words.nested), fmt::arg("options", words.options),
        fmt::arg("with_values", words.with_values), fmt::arg("everywhere", words.everywhere));
    if (*shell == "bash") fmt::print("{}", bash);
    if (*shell == "zsh") fmt::print(kZsh, fmt::arg("bash", bash));
    if (*shell == "fish") {
      fmt::print(kFish, fmt::arg("commands", words.commands), fmt::arg("kinds", words.kinds),
                 fmt::arg("fish", words.fish));
    }
    exit_code = 0;
  });
}

}  // namespace berth::cli
