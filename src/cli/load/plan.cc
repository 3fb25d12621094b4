#include "cli/load/plan.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "base/text.h"

namespace berth::cli {
namespace {

constexpr double kMaxTokens = 1'000'000;

bool read(std::string_view text, double& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(value);
}

}  // namespace

Result<Length> Length::parse(const std::string& option, const std::string& text) {
  const auto bad = [&] {
    return fail(ErrorCode::kInvalid, fmt::format("`{}` is not a length", text), option,
                "write 128, uniform:16..256, exp:128 or lognormal:128:1.5 (mean and CV)");
  };
  Length length;
  const std::vector<std::string_view> parts = split(text, ':');
  bool good = false;
  if (parts.size() == 1) {
    good = read(parts[0], length.a_);
  } else if (parts[0] == "uniform" && parts.size() == 2) {
    length.kind_ = Kind::kUniform;
    const size_t dots = parts[1].find("..");
    good = dots != std::string_view::npos && read(parts[1].substr(0, dots), length.a_) &&
           read(parts[1].substr(dots + 2), length.b_) && length.b_ >= length.a_ &&
           length.b_ <= kMaxTokens;
  } else if (parts[0] == "exp" && parts.size() == 2) {
    length.kind_ = Kind::kExponential;
    good = read(parts[1], length.a_);
  } else if (parts[0] == "lognormal" && parts.size() == 3) {
    length.kind_ = Kind::kLognormal;
    good =
        read(parts[1], length.a_) && read(parts[2], length.b_) && length.b_ >= 0 && length.b_ <= 20;
  }
  if (!good || length.a_ < 1 || length.a_ > kMaxTokens) return bad();
  return length;
}

int Length::draw(Rng& rng) const {
  double value = a_;
  switch (kind_) {
    case Kind::kFixed:
      break;
    case Kind::kUniform:
      value = a_ + std::floor(rng.uniform() * (b_ - a_ + 1));
      break;
    case Kind::kExponential:
      value = rng.exponential(a_);
      break;
    case Kind::kLognormal: {
      const double variance = std::log(1 + b_ * b_);
      value = a_ * std::exp(std::sqrt(variance) * rng.normal() - variance / 2);
      break;
    }
  }
  return static_cast<int>(std::clamp(std::round(value), 1.0, kMaxTokens));
}

Length Length::times(double factor) const {
  Length length = *this;
  length.a_ *= factor;
  if (kind_ == Kind::kUniform) length.b_ *= factor;
  return length;
}

bool LoadPlan::next(PlannedRequest& request) {
  if (shape_.requests > 0 && drawn_ >= shape_.requests) return false;
  if (shape_.arrivals == Arrivals::kTrace) {
    if (drawn_ >= static_cast<int64_t>(trace_.size())) return false;
    const traces::ServedRequest& traced = trace_[static_cast<size_t>(drawn_)];
    request = {traced.arrival_s / shape_.speed, std::max(1, traced.prompt_tokens),
               std::max(1, traced.output_tokens)};
  } else {
    const double mean = 1 / shape_.rate_per_s;
    if (shape_.arrivals == Arrivals::kPoisson) at_s_ += rng_.exponential(mean);
    if (shape_.arrivals == Arrivals::kGamma) {
      const double shape = 1 / (shape_.cv * shape_.cv);
      at_s_ += rng_.gamma(shape, mean / shape);
    }
    const int input = shape_.input.draw(rng_);
    request = {at_s_, input, shape_.output.draw(rng_)};
  }
  if (shape_.duration_s > 0 && request.at_s > shape_.duration_s) return false;
  ++drawn_;
  return true;
}

}  // namespace berth::cli
