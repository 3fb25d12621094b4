#include <array>

#include "controllers/serving/engines/engines.h"

namespace berth::controllers {

const Engine* find_engine(std::string_view kind) {
  static const std::array kEngines = {&kLlamaCpp, &kVllm, &kTriton, &kCustom};
  for (const Engine* engine : kEngines)
    if (engine->kind == kind) return engine;
  return nullptr;
}

}  // namespace berth::controllers
