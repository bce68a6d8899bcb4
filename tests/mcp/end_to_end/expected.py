"""What the server of `examples/mcp_server` has to answer, as JSON on the wire."""

import re

FAILURE = "sandboxed/failure"

CALL_ID = "32 hexadecimal digits"

# What a request may take, of which a call gets what is left.
REQUEST_LIMIT_MS = 55_000

DESCRIPTIONS = {
    "archive": "Copies the service's archive, part by part.",
    "delete_archive": "Deletes the copy of the archive, if the user agrees.",
    "read_line": "One line of a note.",
    "ring": "Rings the bell at the door.",
    "send": "Sends a message.",
    "sign": "Signs the guest book.",
    "status": "How the other tools are, and what they have done.",
    "visitors": "How many visitors the site had in a month.",
    "weather": "The weather in a city.",
}

# For models that would go in circles; without them, every tool is listed and every call is made.
OPTIONS = ["--withdraw-unavailable", "--refuse-repeated-failures"]

LISTED = sorted(DESCRIPTIONS)

# While the breaker of `visitors` is open.
WITHDRAWN = [name for name in LISTED if name != "visitors"]

LINE_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "note": {"type": "string"},
        "number": {"type": "integer", "format": "uint", "minimum": 0, "description": "Counted from 0."},
    },
    "required": ["note", "number"],
}

WEATHER_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"city": {"type": "string"}, "celsius": {"type": "integer", "format": "int32"}},
    "required": ["city", "celsius"],
}


def text(text):
    return {"content": [{"type": "text", "text": text}], "isError": False}


def structured(text, value):
    return {"content": [{"type": "text", "text": text}], "structuredContent": value, "isError": False}


def error(text):
    return {"content": [{"type": "text", "text": text}], "isError": True}


def failure(text, tool, **facts):
    """An error of the engine's: the text, and the same as data."""
    data = {
        "tool": tool,
        "call_id": CALL_ID,
        "attempts": 1,
        "max_attempts": 3,
        "deadline_ms": REQUEST_LIMIT_MS,
        "retry_after_ms": None,
        "may_have_executed": True,
        "idempotent": True,
        "last_error": None,
    }
    return error(text) | {"_meta": {FAILURE: data | facts}}


WEATHER = structured('{"celsius":21,"city":"Lisbon"}', {"celsius": 21, "city": "Lisbon"})

VISITORS = structured('{"month":"may","visitors":1024}', {"month": "may", "visitors": 1_024})

NO_NOTE = error("there is no note `diary`")

REPEATED = error(
    "`read_line` has failed 3 times in a row with exactly these arguments, and was not called again. Change them, or go on "
    "without it."
) | {
    "_meta": {
        FAILURE: {
            "kind": "repeated_failure",
            "tool": "read_line",
            "attempts": 0,
            "consecutive_failures": 3,
            "retry_after_ms": None,
            "may_have_executed": False,
        }
    }
}

PANICKED = failure(
    "`read_line` crashed. The same call is likely to crash again: change it, or go on without it.",
    "read_line",
    kind="panicked",
    timeout_ms=2_000,
)

TIMED_OUT = failure(
    "`visitors` timed out after 300 ms, in the last of 2 attempts. It is switched off for 2 s now: go on without it.",
    "visitors",
    kind="timeout",
    timeout_ms=300,
    attempts=2,
    max_attempts=2,
)

REFUSED = failure(
    "`visitors` is unavailable after repeated failures (circuit breaker open) and was not called. Do not call it again for "
    "2 s; go on without it.",
    "visitors",
    kind="circuit_breaker_open",
    consecutive_failures=2,
    threshold=2,
    timeout_ms=300,
    attempts=0,
    max_attempts=2,
    may_have_executed=False,
)

NOT_RUNG = failure(
    "`ring` timed out after 300 ms. Calling it again does no harm, but the same request is unlikely to be answered: ask for "
    "less, or go on without it.",
    "ring",
    kind="timeout",
    timeout_ms=300,
    max_attempts=1,
)

MAY_BE_SENT = failure(
    "`send` timed out after 300 ms. It may have taken effect: check before you call it again.",
    "send",
    kind="timeout",
    timeout_ms=300,
    idempotent=False,
)

NO_NAME = error("a guest needs a name")

MAY_BE_SIGNED = failure(
    "`sign` timed out after 300 ms. It may have taken effect: check before you call it again.",
    "sign",
    kind="timeout",
    timeout_ms=300,
    idempotent=False,
)

DECLINED = error("not confirmed: User explicitly declined the request")

UNANSWERED = failure(
    "`delete_archive` timed out after 800 ms, in the last of 2 attempts. Calling it again does no harm, but the same request "
    "is unlikely to be answered: ask for less, or go on without it.",
    "delete_archive",
    kind="timeout",
    timeout_ms=800,
    attempts=2,
    max_attempts=2,
)


RING_IS_OFF = (
    "`ring` is unavailable after repeated failures (circuit breaker open) and was not called. Do not call it again for a "
    "while; go on without it."
)


def question(bytes_archived):
    """What `delete_archive` asks its user."""
    return f"Delete the copy of the archive ({bytes_archived} bytes)?"


def without_times(answer):
    """The answer without what the clock of the machine decides, and that: the milliseconds by their names."""
    data = answer.get("_meta", {}).get(FAILURE, {})
    times = {"elapsed_ms": data.pop("elapsed_ms", None)}
    if data.get("retry_after_ms") is not None:
        times["retry_after_ms"], data["retry_after_ms"] = data["retry_after_ms"], None
    # These two differ from call to call. What has not the right form stays, and equals nothing that is expected.
    if re.fullmatch("[0-9a-f]{32}", data.get("call_id") or ""):
        data["call_id"] = CALL_ID
    if REQUEST_LIMIT_MS - 1_000 < (data.get("deadline_ms") or 0) <= REQUEST_LIMIT_MS:
        data["deadline_ms"] = REQUEST_LIMIT_MS
    return answer, times
