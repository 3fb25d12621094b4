#include <string>

#include "controllers/serving/engines/engines.h"

namespace berth::controllers {
namespace {

/// llama.cpp's server inside Python (the package xllamacpp), with llama-server's flags. On SIGTERM
/// it answers on until nothing is left in it, and for a second at least: those who send requests
/// need a moment to hear that this address is leaving.
constexpr const char* kLauncher = R"python(
import argparse, http.client, re, signal, threading, time
import xllamacpp
flags = argparse.ArgumentParser(prog="xllamacpp")
for name, kind in dict(model=str, alias=str, host=str, port=int, parallel=int, threads=int).items():
    flags.add_argument("--" + name, type=kind)
flags.add_argument("--ctx-size", type=int)
flags.add_argument("--metrics", action="store_true")
flags.add_argument("--embeddings", action="store_true")
flags = flags.parse_args()
stopping = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopping.set())
p = xllamacpp.CommonParams()
p.model.path, p.model_alias, p.hostnames, p.port = flags.model, {flags.alias}, [flags.host], flags.port
p.n_parallel, p.n_ctx, p.endpoint_metrics = flags.parallel, flags.ctx_size, flags.metrics
p.embedding = flags.embeddings
if flags.threads:
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = flags.threads
server = xllamacpp.Server(p)
def busy():
    try:
        asked = http.client.HTTPConnection("127.0.0.1", flags.port, timeout=5)
        asked.request("GET", "/metrics")
        text = asked.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return False
    return any(float(n) > 0 for n in re.findall(r"^llamacpp:requests_(?:processing|deferred) (\S+)", text, re.M))
stopping.wait()
time.sleep(1)
while busy():
    time.sleep(0.05)
)python";

bool is_python(const std::string& program) {
  return program.substr(program.rfind('/') + 1).starts_with("python");
}

/// `command` may name another llama-server, or a Python that has xllamacpp.
std::vector<std::string> command(const EngineInput& input) {
  std::vector<std::string> words = input.command;
  if (words.empty()) words = {"llama-server"};
  if (words.size() == 1 && is_python(words.front())) {
    words.insert(words.end(), {"-c", kLauncher});
  }
  words.insert(words.end(), {"--model", input.model, "--alias", input.name, "--host", "0.0.0.0",
                             "--port", std::to_string(input.port), "--metrics", "--parallel",
                             std::to_string(input.sequences), "--ctx-size",
                             std::to_string(input.sequences * input.context_tokens)});
  words.insert(words.end(), input.args.begin(), input.args.end());
  return words;
}

}  // namespace

const Engine kLlamaCpp = {
    .kind = "llamacpp",
    .port = 8080,
    .busy_metrics = {"llamacpp:requests_processing", "llamacpp:requests_deferred"},
    .command = &command,
};

}  // namespace berth::controllers
