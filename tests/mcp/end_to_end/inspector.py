"""Calls the tools of an MCP server with the command line of the MCP inspector. Arguments: the inspector, the server.

Every call starts a new server. The inspector's exit code does not show the failure of a tool, so its replies are read.
"""

import json
import subprocess
import sys

import expected
from checks import Checks

checks = Checks()
inspector, server = sys.argv[1:]


def inspect(*arguments):
    command = [inspector, "--cli", server, "--method", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30)
    if run.returncode != 0:
        sys.exit(f"{command} failed:\n{run.stdout}{run.stderr}")
    return json.loads(run.stdout)


def call(tool, **arguments):
    pairs = [f"{name}={value}" for name, value in arguments.items()]
    given = [argument for pair in pairs for argument in ("--tool-arg", pair)]
    answer, _ = expected.without_times(inspect("tools/call", "--tool-name", tool, *given))
    return answer


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
sys.exit(checks.close())
