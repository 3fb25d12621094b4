#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace berth::objects {

/// Each says what is wrong with a text, or nothing when it is good. The rules and limits are
/// k8s.io/apimachinery/pkg/util/validation's.
std::optional<std::string> check_dns_label(std::string_view text);       ///< RFC 1123, 63 bytes
std::optional<std::string> check_dns_label_1035(std::string_view text);  ///< starts with a letter
std::optional<std::string> check_dns_subdomain(std::string_view text);   ///< RFC 1123, 253 bytes
std::optional<std::string> check_path_segment(std::string_view text);
/// `prefix/name` or `name`: label and annotation keys, resource names.
std::optional<std::string> check_qualified_name(std::string_view text);
std::optional<std::string> check_label_value(std::string_view text);
std::optional<std::string> check_port_name(std::string_view text);
std::optional<std::string> check_env_name(std::string_view text);
/// ConfigMap and Secret keys.
std::optional<std::string> check_config_key(std::string_view text);
std::optional<std::string> check_ip(std::string_view text);

/// A text close to `name` that check_dns_subdomain accepts: `My_App` gives `my-app`. Empty when
/// nothing of it can be kept.
std::string suggest_dns_name(std::string_view name);

/// What names the queue of an object, or of a namespace's pods: Berth's label, Kueue's and KAI's.
inline constexpr std::string_view kQueueLabels[] = {"berth.dev/queue", "kueue.x-k8s.io/queue-name",
                                                    "kai.scheduler/queue"};

}  // namespace berth::objects
