#pragma once

#include "controllers/serving/engines/engine.h"

namespace berth::controllers {

extern const Engine kLlamaCpp;
extern const Engine kVllm;
extern const Engine kTriton;
extern const Engine kCustom;

}  // namespace berth::controllers
