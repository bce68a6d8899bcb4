"""Calls the tools of an MCP server with the command line of the MCP inspector. Arguments: the inspector, the server.

Every call is a connection of its own: to a new server first, and then to one over HTTP, whose tools it finds as the calls before
have left them. It prints no notifications. The inspector's exit code does not show the failure of a tool, so its replies are read.
"""

import json
import re
import subprocess
import sys
import time

import expected
from checks import Checks

checks = Checks()
inspector, server = sys.argv[1:]
target = server


def inspect(*arguments):
    command = [inspector, "--cli", target, "--method", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30)
    if run.returncode != 0:
        sys.exit(f"{command} failed:\n{run.stdout}{run.stderr}")
    return json.loads(run.stdout)


def call(tool, **arguments):
    pairs = [f"{name}={value}" for name, value in arguments.items()]
    given = [argument for pair in pairs for argument in ("--tool-arg", pair)]
    answer, _ = expected.without_times(inspect("tools/call", "--tool-name", tool, *given))
    return answer


def names():
    return sorted(tool["name"] for tool in inspect("tools/list")["tools"])


tools = {tool["name"]: tool for tool in inspect("tools/list")["tools"]}
descriptions = {name: tool["description"] for name, tool in tools.items()}
checks.equal("descriptions are the documentation", descriptions, expected.DESCRIPTIONS)
checks.equal("input schemas are those of the parameters", tools["read_line"]["inputSchema"], expected.LINE_SCHEMA)
checks.equal("output schemas are those of the answers", tools["weather"]["outputSchema"], expected.WEATHER_SCHEMA)
checks.equal("a flaky service is asked again", call("weather", city="Lisbon"), expected.WEATHER)
checks.equal("a note that does not exist is the tool's own error", call("read_line", note="diary", number=0), expected.NO_NOTE)
checks.equal("a panic answers", call("read_line", note="todo", number=7), expected.PANICKED)
checks.equal("a strict client takes a timeout beside an output schema", call("visitors", month="may"), expected.TIMED_OUT)
checks.equal("a message without a receipt may have been sent", call("send", text="hello"), expected.MAY_BE_SENT)
checks.equal("a tool that returns nothing reports a timeout", call("ring"), expected.NOT_RUNG)

# The server ends with its standard input.
with subprocess.Popen([server, "--http", *expected.OPTIONS], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
    target = next(line.split()[-1] for line in process.stderr if line.startswith("serving at "))
    checks.equal("all tools are listed over HTTP", names(), expected.LISTED)
    # Its breaker stays open for longer than a few starts of the inspector take.
    for _ in range(5):
        call("ring")
    checks.equal("a tool whose breaker is open is not listed", names(), [name for name in expected.LISTED if name != "ring"])
    answer = call("ring")
    text = re.sub("for [0-9]+ s", "for a while", answer["content"][0]["text"])
    checks.equal("a call all the same is refused, with words for the model", text, expected.RING_IS_OFF)

    checks.equal("another fails", call("visitors", month="may"), expected.TIMED_OUT)
    began = time.monotonic()
    while "visitors" not in names() and time.monotonic() - began < 20:
        pass
    checks.equal("and is listed after its cooldown", "visitors" in names(), True)
    checks.equal("and works", call("visitors", month="may"), expected.VISITORS)

    answers = [call("read_line", note="diary", number=0) for _ in range(4)]
    checks.equal("failures on other connections do not count", answers, [expected.NO_NOTE] * 4)
sys.exit(checks.close())
