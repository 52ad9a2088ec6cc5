"""The two kinds of answers: JSON, and errors in the form of OpenAI's."""

import orjson
from aiohttp import web

ERROR_TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 500: "server_error"}
ERROR_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


def json_response(data: bytes, headers: dict[str, str] | None = None) -> web.Response:
    """An answer of status 200 that holds some JSON, or what shall pass for it."""
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
