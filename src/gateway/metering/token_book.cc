#include "gateway/metering/token_book.h"

#include <chrono>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "platform/deadline.h"

namespace berth::gateway {
namespace {

using objects::find_int;
using objects::find_string;

constexpr Duration kTimeout = Duration::seconds(5);
constexpr Duration kLastTry = Duration::seconds(10);
constexpr auto kRetryPause = std::chrono::milliseconds(100);

client::Target target_of(const std::string& name) {
  return {{"", "v1", "configmaps"}, "berth-system", name, ""};
}

TokenBook::Totals read_totals(const Json& map) {
  TokenBook::Totals totals;
  boost::system::error_code error;
  const Json said = boost::json::parse(find_string(map, {"data", "tokens"}), error);
  if (error || !said.is_array()) return totals;
  for (const Json& row : said.get_array())
    totals[{std::string(find_string(row, {"tenant"})), std::string(find_string(row, {"model"}))}] =
        {find_int(row, {"input"}), find_int(row, {"output"})};
  return totals;
}

}  // namespace

TokenBook::TokenBook(Options options)
    : options_(std::move(options)),
      client_(options_.client, kTimeout),
      thread_([this] { run(); }) {}

TokenBook::~TokenBook() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void TokenBook::run() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, std::chrono::nanoseconds(options_.pause.ns),
                            [this] { return stopping_; })) {
    lock.unlock();
    tell();
    lock.lock();
  }
  lock.unlock();
  const platform::Deadline deadline(kLastTry);
  while (!tell() && !deadline.passed()) std::this_thread::sleep_for(kRetryPause);
}

bool TokenBook::tell() {
  return (known_ || read()) && write();
}

bool TokenBook::read() {
  const auto map = client_.get(target_of(options_.name));
  if (!map && map.error().code != ErrorCode::kNotFound) return false;
  exists_ = map.has_value();
  before_ = map ? read_totals(**map) : Totals{};
  return known_ = true;
}

bool TokenBook::write() {
  Totals counted = options_.counted();
  std::erase_if(counted, [](const auto& row) { return row.second == Count{}; });
  if (counted == told_) return true;
  Totals totals = before_;
  for (const auto& [owner, count] : counted) {
    totals[owner].input += count.input;
    totals[owner].output += count.output;
  }
  JsonArray rows;
  for (const auto& [owner, count] : totals)
    rows.push_back(JsonObject{{"tenant", owner.first},
                              {"model", owner.second},
                              {"input", count.input},
                              {"output", count.output}});
  JsonObject map{
      {"apiVersion", "v1"},
      {"kind", "ConfigMap"},
      {"metadata", JsonObject{{"name", options_.name},
                              {"namespace", "berth-system"},
                              {"labels", JsonObject{{"berth.dev/gateway-tokens", "true"}}}}},
      {"data", JsonObject{{"tokens", boost::json::serialize(rows)},
                          {"asOf", format_time(options_.clock.now())}}}};
  client::Target target = target_of(options_.name);
  if (!exists_) target.name.clear();
  const auto done = exists_ ? client_.patch(target, client::PatchType::kMerge, std::move(map))
                            : client_.create(target, std::move(map));
  if (done) {
    exists_ = true;
    told_ = std::move(counted);
    trouble_.clear();
  } else if (exists_ && done.error().code == ErrorCode::kNotFound) {
    // Somebody deleted it. A new one begins with what was not told yet.
    exists_ = false;
    before_.clear();
    for (const auto& [owner, count] : told_) before_[owner] = {-count.input, -count.output};
  } else if (!exists_ && done.error().code == ErrorCode::kAlreadyExists) {
    known_ = false;
  } else if (std::string trouble = done.error().to_string(); trouble != trouble_) {
    options_.remark("tokens are not told to the API server: " + trouble);
    trouble_ = std::move(trouble);
  }
  return done.has_value();
}

}  // namespace berth::gateway
