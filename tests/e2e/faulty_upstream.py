"""A server of models with known answers and, when asked, faults: what the gateway's tests put behind it.

    python faulty_upstream.py --port 9001 [--slow 0.2] [--cut 0.1] [--refuse 0.1] [--no-usage]

An answer to `max_tokens` N has N tokens; a prompt has a token for each 4 bytes. --slow is the pause between tokens in
seconds; --cut and --refuse are the shares of answers that break off in the middle, and of requests answered 503.
"""

import argparse
import json
import random
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    options: argparse.Namespace
    dice: random.Random

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, status: int, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self.reply(200, {"status": "ok"})

    def event(self, text: str) -> None:
        data = f"data: {text}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(2)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        options = self.options
        if self.dice.random() < options.refuse:
            self.reply(503, {"error": {"message": "loading"}})
            return
        tokens = int(body.get("max_tokens", 16))
        usage = {"prompt_tokens": len(body["prompt"]) // 4, "completion_tokens": tokens}
        cut_at = self.dice.randrange(tokens) if self.dice.random() < options.cut else -1
        if not body.get("stream"):
            time.sleep(options.slow * tokens / 4)
            if cut_at >= 0:
                self.cut()
                return
            self.reply(200, {"object": "text_completion", "choices": [{"text": "x " * tokens}], "usage": usage})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for token in range(tokens):
            if token == cut_at:
                self.cut()
                return
            time.sleep(options.slow)
            self.event(json.dumps({"choices": [{"text": "x"}]}))
        if body.get("stream_options", {}).get("include_usage") and not options.no_usage:
            self.event(json.dumps({"choices": [], "usage": usage}))
        self.event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # clients leave; that is what the test is about


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--slow", type=float, default=0)
    parser.add_argument("--cut", type=float, default=0)
    parser.add_argument("--refuse", type=float, default=0)
    parser.add_argument("--no-usage", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    Handler.options = parser.parse_args()
    Handler.dice = random.Random(Handler.options.seed)
    socketserver.TCPServer.allow_reuse_address = True
    Server((Handler.options.address, Handler.options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
