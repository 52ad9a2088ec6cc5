"""The kinds of answers: JSON, errors in the form of OpenAI's, and none."""

import socket
import struct
from typing import Any

import orjson
from aiohttp import web

ERROR_TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 500: "server_error"}
ERROR_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


WRONG_KEY = [
    {
        "error": {
            "code": 400,
            "message": "API key not valid. Please pass a valid API key.",
            "status": "INVALID_ARGUMENT",
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}],
        }
    }
]
CREDIT_SPENT = {
    "type": "error",
    "error": {
        "type": "invalid_request_error",
        "message": "Your credit balance is too low to access the Anthropic API.",
    },
}


def bad_request(body: object) -> web.Response:
    """An answer of status 400 with a body of a provider's own form."""
    return web.Response(body=orjson.dumps(body), status=400, content_type="application/json")


def broken_off(body: dict[str, Any]) -> dict[str, Any]:
    """A completion whose making was broken off in the middle of each text."""
    choices = []
    for choice in body["choices"]:
        holder = choice.get("message", choice)
        name = "content" if "message" in choice else "text"
        half = {**holder, name: holder[name][: len(holder[name]) // 2]}
        choices.append({**choice, **({"message": half} if "message" in choice else half), "finish_reason": "error"})
    return {**body, "choices": choices}


def json_response(data: bytes, headers: dict[str, str] | None = None) -> web.Response:
    """An answer of status 200 that holds some JSON, or what is sent in its place."""
    return web.Response(body=data, content_type="application/json", headers=headers or None)


def error_response(status: int, message: str, code: str | None = None) -> web.Response:
    """An error in the form of OpenAI's."""
    error = {
        "message": message,
        "type": ERROR_TYPES.get(status, "invalid_request_error"),
        "param": None,
        "code": code or ERROR_CODES.get(status),
    }
    return web.Response(body=orjson.dumps({"error": error}), status=status, content_type="application/json")


def reset_connection(request: web.BaseRequest) -> web.Response:
    """Reset the request's connection; the response is for the accounts only."""
    transport = request.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        transport.abort()
    return web.Response(status=500)
