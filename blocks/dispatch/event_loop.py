"""The event loop of threads that send calls: uvloop's where it is installed, which takes less CPU time."""

import asyncio


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop; uvloop has none for Windows."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
