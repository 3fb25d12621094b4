#include "cli/cost/prices.h"

#include <cmath>
#include <memory>

#include "base/time.h"
#include "cli/simulate/commands.h"
#include "objects/schema.h"
#include "objects/validate.h"
#include "objects/yaml.h"

namespace berth::cli {

Result<Prices> read_prices(const std::string& path) {
  BERTH_TRY(const std::string text, read_text_file(path));
  BERTH_TRY(const auto documents, objects::parse_yaml(text, path));
  if (documents.size() != 1 || objects::kind_of(documents[0].value) != "BerthConfiguration")
    return fail(ErrorCode::kInvalid, "not one BerthConfiguration", path,
                "give the file that `berth serve --config` has");
  const std::unique_ptr<objects::Registry> registry = objects::Registry::built_in();
  if (const auto errors = objects::check_manifest(*registry, documents[0], path); !errors.empty())
    return std::unexpected(errors.front());
  Prices prices;
  for (const Json& price : objects::find_array(documents[0].value, {"prices"})) {
    const std::string of(
        objects::find_string(price, {"accelerator"}, objects::find_string(price, {"resource"})));
    const auto from = parse_time(objects::find_string(price, {"from"}));
    const double per_hour = objects::find(price, {"perHour"})->to_number<double>();
    prices.list.set(of, {std::llround(per_hour * 1e6)}, from ? *from : Time{INT64_MIN});
    prices.currency = objects::find_string(price, {"currency"});
  }
  return prices;
}

}  // namespace berth::cli
