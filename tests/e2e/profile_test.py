#!/usr/bin/env python3
"""`berth profile fit --endpoint` against an engine whose costs are known."""

import asyncio
import json
import os
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("BERTH_BINARY", ROOT / "build" / "release" / "berth"))
SLOTS = 4
ITERATION_S, PER_SEQUENCE_S, PER_PROMPT_TOKEN_S = 0.008, 0.002, 0.0002
KEY = "sk-known"


class Engine:
    """Continuous batching with known costs behind the OpenAI API, as llama.cpp tells its slots."""

    def __init__(self) -> None:
        self.running: list[list] = []   # [tokens left, prompt tokens not yet read, queue of events]
        self.waiting: list[list] = []
        self.loop = asyncio.new_event_loop()
        self.port = 0
        started = threading.Event()
        self.thread = threading.Thread(target=lambda: self.loop.run_until_complete(self.serve(started)), daemon=True)
        self.thread.start()
        started.wait(10)

    async def serve(self, started: threading.Event) -> None:
        self.stopped = asyncio.Event()
        server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        iterations = asyncio.create_task(self.iterate())
        await self.stopped.wait()
        iterations.cancel()
        server.close()

    async def iterate(self) -> None:
        due = self.loop.time()
        while True:
            while self.waiting and len(self.running) < SLOTS:
                self.running.append(self.waiting.pop(0))
            if not self.running:
                await asyncio.sleep(0.0005)
                due = self.loop.time()
                continue
            due += (ITERATION_S + PER_SEQUENCE_S * len(self.running)
                    + PER_PROMPT_TOKEN_S * sum(prompt for _, prompt, _ in self.running))
            await asyncio.sleep(max(0, due - self.loop.time()))
            for sequence in self.running:
                sequence[0] -= 1
                sequence[1] = 0
                sequence[2].put_nowait(sequence[0])
            self.running = [sequence for sequence in self.running if sequence[0] > 0]

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                lines = head.split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                path = lines[0].split()[1]
                if path == "/props":
                    await self.write(writer, "200 OK", json.dumps({"total_slots": SLOTS}))
                elif path not in ("/v1/completions", "/v1/chat/completions"):
                    await self.write(writer, "404 Not Found", "{}")
                elif headers.get("authorization") != f"bearer {KEY}":
                    await self.write(writer, "401 Unauthorized", json.dumps({"error": {"message": "no such key"}}))
                else:
                    await self.stream(writer, json.loads(body))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @staticmethod
    async def write(writer: asyncio.StreamWriter, status: str, body: str) -> None:
        writer.write(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
                     .encode())
        await writer.drain()

    async def stream(self, writer: asyncio.StreamWriter, request: dict) -> None:
        text = request.get("prompt") or " ".join(message["content"] for message in request["messages"])
        prompt, tokens = len(text.split()), request.get("max_tokens") or request["max_completion_tokens"]
        events: asyncio.Queue = asyncio.Queue()
        self.waiting.append([tokens, prompt, events])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        left = tokens
        while left > 0:
            left = await events.get()
            await self.event(writer, {"choices": [{"index": 0, "text": "a", "delta": {"content": "a"},
                                                   "finish_reason": None if left else "length"}]})
        await self.event(writer, {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": tokens}})
        done = b"data: [DONE]\n\n"
        writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(done), done))
        await writer.drain()

    @staticmethod
    async def event(writer: asyncio.StreamWriter, document: dict) -> None:
        line = f"data: {json.dumps(document)}\n\n".encode()
        writer.write(b"%x\r\n%s\r\n" % (len(line), line))
        await writer.drain()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.stopped.set)
        self.thread.join()
        self.loop.close()


class FitToEndpoint(unittest.TestCase):
    def setUp(self) -> None:
        self.engine = Engine()
        self.addCleanup(self.engine.stop)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.profile = self.folder / "profile.yaml"

    def fit(self, key: str) -> subprocess.CompletedProcess:
        key_file = self.folder / "key"
        key_file.write_text(key + "\n")
        return subprocess.run(
            [BINARY, "profile", "fit", "--endpoint", f"http://127.0.0.1:{self.engine.port}", "--model=known",
             "--key-file", key_file, "--duration=8s", "--input-tokens=uniform:16..128", "--output-tokens=uniform:8..32",
             "-o", self.profile], text=True, capture_output=True, timeout=120)

    def test_finds_what_the_engine_costs(self) -> None:
        done = self.fit(KEY)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("4 at once", done.stderr)
        text = self.profile.read_text()
        self.assertIn(f"maxSequences: {SLOTS}", text)
        # What one and what all slots take for a token, whichever coefficients say it.
        requests = self.folder / "requests.jsonl"
        for clients in (1, SLOTS):
            with requests.open("w") as file:
                for i in range(clients):
                    file.write(json.dumps({"request_id": f"r{i}", "arrival_time": 0, "input_toks": 16, "output_toks": 64}) + "\n")
            told = subprocess.run([BINARY, "simulate", "serving", "--profile", self.profile, "--requests", requests,
                                   "-o", "json"], text=True, capture_output=True)
            self.assertEqual(told.returncode, 0, told.stderr)
            truth = ITERATION_S + PER_SEQUENCE_S * clients
            # 8 s say little, and a busy machine makes the engine slower than it says.
            mean = json.loads(told.stdout)["tpot_s"]["mean"]
            self.assertGreater(mean, 0.6 * truth)
            self.assertLess(mean, 2.5 * truth)

    def test_a_wrong_key_is_told_and_writes_nothing(self) -> None:
        done = self.fit("sk-other")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("HTTP 401; check --model, --key", done.stderr)
        self.assertNotIn("sk-other", done.stderr)
        self.assertFalse(self.profile.exists())


if __name__ == "__main__":
    unittest.main()
