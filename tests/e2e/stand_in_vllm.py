"""A stand-in for the `vllm` command that answers as the fake server does: `serve MODEL --port N …`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fake_server.__main__ import main

if __name__ == "__main__":
    port = sys.argv[sys.argv.index("--port") + 1]
    sys.argv = ["vllm", "--port", port]
    main()
