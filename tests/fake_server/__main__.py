"""`python -m tests.fake_server`: the fake server as a process of its own."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.fake_server.config import ServerConfig
from tests.fake_server.server import Application, listen

PARENT_CHECK_S = 0.5


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until killed, or, with --exit-with-parent, until the process that started this one has ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.fake_server", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--port-file", type=Path, help="file that receives the port when the server is ready")
    parser.add_argument("--config", default="{}", help="fields of ServerConfig as a JSON object")
    parser.add_argument("--exit-with-parent", action="store_true", help="end when the parent process has ended")
    options = parser.parse_args(arguments)
    try:
        config = ServerConfig.model_validate_json(options.config)
        asyncio.run(_serve(config, options.port, options.port_file, options.exit_with_parent))
    except (ValueError, OSError) as error:
        sys.exit(f"fake_server: {error}")
    except KeyboardInterrupt:
        sys.exit(0)


async def _serve(config: ServerConfig, wanted: int, port_file: Path | None, exit_with_parent: bool) -> None:
    parent = os.getppid()
    listener, port = await listen(Application(config), wanted)
    if port_file is not None:
        unfinished = port_file.with_name(f"{port_file.name}.{os.getpid()}")
        unfinished.write_text(f"{port}\n", encoding="utf-8")
        unfinished.replace(port_file)
    print(port, flush=True)
    async with listener:
        while not (exit_with_parent and os.getppid() != parent):
            await asyncio.sleep(PARENT_CHECK_S)


if __name__ == "__main__":
    main()
