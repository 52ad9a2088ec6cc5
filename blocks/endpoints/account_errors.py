"""Errors that concern the key or the account and not the question, recognised by a server's error message.

Not every server says 401 or 402 for them. With status 400 Gemini and xAI refuse a key, Anthropic says that the credit
or the spend limit is used up, OpenAI that the billing limit is reached, DashScope that payment is overdue; Fireworks
says 412 of an account that is suspended, Z.ai 429. Taken for the question's own failure, such an answer would be kept.

A server may repeat the question in its error, and a question may be about keys and credit. So the words count only
where a message begins with them: what is repeated stands behind words of the server's own, or in quotation marks.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Literal

AccountReason = Literal["not_authorised", "out_of_credit"]
REMEDIES: Mapping[str | None, str] = {
    "not_authorised": "check the key and api_key_env",
    "out_of_credit": "buy credit or raise the limit, then run again: the answers so far are kept",
}
CODES: Mapping[str, AccountReason] = {
    **dict.fromkeys(
        (
            "api_key_expired",
            "api_key_invalid",
            "authentication_error",
            "incorrect_api_key",
            "invalid_api_key",
            "invalid_authentication_error",
            "invalidapikey",
            "organization_restricted",
            "unauthenticated",
        ),
        "not_authorised",
    ),
    **dict.fromkeys(
        (
            "arrearage",
            "billing_error",
            "billing_hard_limit_reached",
            "billing_not_active",
            "exceeded_current_quota_error",
            "insufficient_balance",
            "insufficient_credits",
            "insufficient_quota",
            "payment_required",
        ),
        "out_of_credit",
    ),
}
_CODE_FIELDS = ("code", "type", "status", "reason")
_TEXT_FIELDS = ("error", "detail", "message", "details")
_DEPTH = 6
_LISTED = 4
_SHOWN = 200
_LEAD = re.compile(r"(?:[\s\d\[\]:-]+|[a-z_.]*(?:error|exception)\b(?: code)?)*", re.I)
_KEY = re.compile(
    r"(?:(?:the|your|this|provided) ){0,2}(?:x-)?api[ _-]?key\b.{0,60}?\b"
    r"(?:not valid|invalid|not found|incorrect|expired|revoked|disabled|leaked|missing|required)\b"
    r"|(?:incorrect|invalid|wrong|expired|no|missing(?: or invalid| \w{1,20})?) "
    r"(?:(?:x-)?api[ _-]?(?:key|token)|authori[sz]ation header|access token|bearer token|credentials)\b"
    r"|you didn'?t provide an api key|authentication fail|unauthori[sz]ed[.!]?$"
    r"|(?:(?:this|your) )?(?:organi[sz]ation|account) (?:has been|is) (?:disabled|restricted|deactivated|terminated)\b"
    r"|user location is not supported\b",
    re.I,
)
_CREDIT = re.compile(
    r"(?:your )?credit balance is too low\b|billing hard limit\b|credit limit exceeded\b"
    r"|insufficient (?:account |user )?(?:balance|credits?|funds|quota)\b"
    r"|(?:sorry,? )?(?:(?:your|the) )?(?:account )?balance is (?:insufficient|not enough|too low)\b"
    r"|you have reached your specified (?:workspace )?api usage limits?\b"
    r"|(?:you have |you've )?(?:run )?out of credits?\b|your prepayment credits are depleted\b"
    r"|your account is not active,? please check your billing\b"
    r"|access denied, please make sure your account is in good standing\b"
    r"|(?:your )?account (?:\S{1,80} )?is suspended\b"
    r"|your team \S{1,80} has either used all available credits\b",
    re.I,
)


def account_reason(body: object) -> AccountReason | None:
    """Return what an error's body says of the key or the account; None where it is about something else.

    body is what was decoded: an object, a list of them (Gemini) or a text. An error in another's message is read too.
    """
    codes: set[str] = set()
    messages: list[str] = []
    _read(body, codes, messages, _DEPTH)
    found = [CODES[code] for code in sorted(codes) if code in CODES]
    found += ["out_of_credit" for message in messages if _CREDIT.match(message)]
    found += ["not_authorised" for message in messages if _KEY.match(message)]
    return found[0] if found else None


def with_remedy(error: str | None, words: str | None) -> str:
    """Return a server's words for a failure, and what to do where it is the key's or the account's."""
    return "; ".join(part for part in (words or error, REMEDIES.get(error)) if part)


def _read(value: object, codes: set[str], messages: list[str], depth: int) -> None:
    """Gather the codes and the beginnings of the messages of an error."""
    if isinstance(value, str):
        words = value[_LEAD.match(value, 0, _SHOWN).end() :]  # type: ignore[union-attr]  # it matches nothing too
        inner = _object_at_start(words) if words.startswith("{") else None
        if inner is None:
            messages.append(words[:_SHOWN])
        value = inner
    if not depth:
        return
    if isinstance(value, Mapping):
        codes.update(text.lower() for name in _CODE_FIELDS if isinstance(text := value.get(name), str))
        value = [value.get(name) for name in _TEXT_FIELDS]
    if isinstance(value, list):
        for one in value[:_LISTED]:
            _read(one, codes, messages, depth - 1)


def _object_at_start(words: str) -> Any:
    """Return the JSON object that a text begins with; None where it begins with none."""
    try:
        return json.JSONDecoder().raw_decode(words)[0]
    except (ValueError, RecursionError):
        return None
