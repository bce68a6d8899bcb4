"""Calls the tools of the MCP server that is given as argument, with the Python package of MCP.

Once as the server is by itself, and with its options in both revisions of the protocol that have their own way to tell of a
changed list.
"""

import sys
import time

import anyio
from mcp import Client, ClientSession, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import ElicitResult, ToolListChangedNotification

import expected
from checks import Checks

checks = Checks()

NO = ElicitResult(action="decline")


def consent(delete):
    return ElicitResult(action="accept", content={"delete": delete})


class User:
    """Gives one answer to all questions, or none."""

    def says(self, answer):
        self.answer = answer
        self.questions = []
        self.withdrawn = 0

    async def asked(self, _, question):
        self.questions.append(question.message)
        if self.answer is None:
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                # This is how the package applies `notifications/cancelled`.
                self.withdrawn += 1
                raise
        return self.answer


user = User()


class Changes:
    """What the client hears of changes of the list."""

    def __init__(self):
        self.told, self.heard = anyio.create_memory_object_stream(100)

    async def hear(self, message):
        if isinstance(message, ToolListChangedNotification):
            self.told.send_nowait(message)

    async def next(self):
        with anyio.fail_after(10):
            await self.heard.receive()

    def unheard(self):
        return self.heard.statistics().current_buffer_used


async def call(session, tool, **arguments):
    """The answer as JSON, without its times, and these."""
    result = await session.call_tool(tool, arguments, read_timeout_seconds=10)
    # The newest revision has the excluded one in every answer.
    answer = result.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"result_type"})
    return expected.without_times(answer)


async def status(session):
    answer, _ = await call(session, "status")
    return answer["structuredContent"]


async def attempts(session, tool):
    return (await status(session))["tools"][tool]["attempts"]


async def names(session):
    """In their order, which is part of what a model's prompt begins with."""
    return [tool.name for tool in (await session.list_tools()).tools]


async def tools_are_listed(session):
    tools = {tool.name: tool for tool in (await session.list_tools()).tools}
    descriptions = {name: tool.description for name, tool in tools.items()}
    checks.equal("descriptions are the documentation", descriptions, expected.DESCRIPTIONS)
    checks.equal("input schemas are those of the parameters", tools["read_line"].input_schema, expected.LINE_SCHEMA)
    checks.equal("output schemas are those of the answers", tools["weather"].output_schema, expected.WEATHER_SCHEMA)


async def retries_recover(session):
    answer, _ = await call(session, "weather", city="Lisbon")
    checks.equal("a flaky service is asked again", answer, expected.WEATHER)


async def callers_faults_open_no_breaker(session):
    for _ in range(6):
        answer, _ = await call(session, "read_line", note="diary", number=0)
    checks.equal("a note that does not exist is the tool's own error", answer, expected.NO_NOTE)
    answer, _ = await call(session, "read_line", note="todo", number=1)
    checks.equal("and after six of these the tool still works", answer, expected.text("call the bank"))


async def panics_answer(session):
    answer, _ = await call(session, "read_line", note="todo", number=7)
    checks.equal("a panic answers", answer, expected.PANICKED)


async def a_breaker_opens_and_closes(session):
    answer, times = await call(session, "visitors", month="may")
    checks.equal("a hanging service is a timeout, whatever the output schema", answer, expected.TIMED_OUT)
    checks.true("after two attempts of 300 ms", 600 <= times["elapsed_ms"] < 1_500, times)

    began = time.monotonic()
    answer, times = await call(session, "visitors", month="may")
    elapsed = time.monotonic() - began
    checks.equal("an open breaker refuses, and reports for how long", answer, expected.REFUSED)
    checks.true("at once", elapsed < 0.25, f"after {elapsed} s")
    checks.true("the data has the time left", 1_000 < times["retry_after_ms"] <= 2_000, times)
    breaker = (await status(session))["tools"]["visitors"]["breaker"]
    checks.true("the server reports that it is open", breaker.startswith("open"), breaker)

    await anyio.sleep(2.1)
    answer, _ = await call(session, "visitors", month="may")
    checks.equal("after the cooldown a probe works", answer, expected.VISITORS)
    checks.equal("and closes the breaker", (await status(session))["tools"]["visitors"]["breaker"], "closed")


async def messages_are_sent_once(session):
    answer, _ = await call(session, "send", text="hello")
    checks.equal("a message without a receipt may have been sent", answer, expected.MAY_BE_SENT)
    await anyio.sleep(1)
    checks.equal("and is sent once", (await status(session))["messages_sent"], 1)


async def the_last_word_is_the_tools(session):
    for _ in range(6):
        answer, _ = await call(session, "sign", name=" ")
    checks.equal("a result that is marked as an error is the tool's last word", answer, expected.NO_NAME)
    answer, _ = await call(session, "sign", name="Grace")
    checks.equal("and after six of these the tool still works", answer, expected.text("Grace has signed"))
    answer, _ = await call(session, "sign", name="Ada")
    checks.equal("what the hints say not to run twice is run once, by the client's name", answer, expected.MAY_BE_SIGNED)


async def what_returns_nothing_reports(session):
    answer, _ = await call(session, "ring")
    checks.equal("a tool that returns nothing reports a timeout", answer, expected.NOT_RUNG)


async def cancellation_stops_the_tool(session):
    async def stopped(how):
        at_once = (await status(session))["bytes_archived"]
        await anyio.sleep(0.5)
        later = (await status(session))["bytes_archived"]
        checks.true(f"the tool stops when {how}", 0 < at_once == later, f"{at_once} bytes, then {later}")

    try:
        await session.call_tool("archive", {}, read_timeout_seconds=0.5)
        checks.true("the client's time limit passes", False, "the tool answered")
    except MCPError:
        await stopped("the client waits no longer")
    with anyio.move_on_after(0.5):
        await session.call_tool("archive", {})
    await stopped("the client cancels the request")


async def questions_are_withdrawn(session):
    asked = expected.question((await status(session))["bytes_archived"])
    user.says(None)
    answer, times = await call(session, "delete_archive")
    checks.equal("a question that nobody answers is a timeout", answer, expected.UNANSWERED)
    checks.true("after two attempts of 800 ms", 1_600 <= times["elapsed_ms"] < 2_500, times)
    checks.equal("each attempt asks", user.questions, [asked] * 2)
    await anyio.sleep(0.1)
    checks.equal("and its question is withdrawn", user.withdrawn, 2)


async def a_no_is_the_users(session):
    kept = (await status(session))["bytes_archived"]
    questions = []
    for _ in range(6):
        user.says(NO)
        answer, _ = await call(session, "delete_archive")
        questions.append(user.questions)
    checks.equal("the answer to a question that the user declines names the no", answer, expected.DECLINED)
    checks.equal("six of these are asked once each", questions, [[expected.question(kept)]] * 6)
    user.says(consent(delete=False))
    answer, _ = await call(session, "delete_archive")
    checks.equal("an unchecked box is a no, too", answer, expected.DECLINED)
    checks.equal("and nothing is deleted", (await status(session))["bytes_archived"], kept)

    user.says(consent(delete=True))
    answer, _ = await call(session, "delete_archive")
    checks.equal("after all of these the tool still works", answer, expected.text(f"deleted {kept} bytes"))
    checks.equal("a question that the user accepts is asked once", user.questions, [expected.question(kept)])
    checks.equal("and the archive is deleted", (await status(session))["bytes_archived"], 0)


async def calls_run_side_by_side(session):
    answers = [None] * 20

    async def ask(index):
        answers[index], _ = await call(session, "weather", city="Porto")

    began = time.monotonic()
    async with anyio.create_task_group() as tasks:
        for index in range(20):
            tasks.start_soon(ask, index)
    elapsed = time.monotonic() - began
    answer = expected.structured('{"celsius":21,"city":"Porto"}', {"celsius": 21, "city": "Porto"})
    checks.equal("twenty calls at a time answer", answers, [answer] * 20)
    checks.true("side by side", elapsed < 2, f"after {elapsed} s")


async def a_dead_tool_is_withdrawn(client, changes):
    checks.equal("a tool that works is listed", await names(client), expected.LISTED)
    answer, _ = await call(client, "visitors", month="may")
    checks.equal("it fails, and its breaker opens", answer, expected.TIMED_OUT)
    await changes.next()
    checks.equal("the client is told, and it is listed no more", await names(client), expected.WITHDRAWN)
    answer, _ = await call(client, "visitors", month="may")
    checks.equal("a call all the same is refused, with words for the model", answer, expected.REFUSED)
    await changes.next()
    checks.equal("after the cooldown the client is told, and it is listed", await names(client), expected.LISTED)
    answer, _ = await call(client, "visitors", month="may")
    checks.equal("and works", answer, expected.VISITORS)


async def repeated_failures_are_refused(client, changes):
    before = await attempts(client, "read_line")

    async def ask(number):
        answer, _ = await call(client, "read_line", note="diary", number=number)
        return answer

    answers = [await ask(0) for _ in range(5)]
    failed_then_refused = [expected.NO_NOTE] * 3 + [expected.REPEATED] * 2
    checks.equal("a call that has failed three times is refused with the same arguments", answers, failed_then_refused)
    checks.equal("and not made", await attempts(client, "read_line") - before, 3)
    checks.equal("with another argument it is made", await ask(1), expected.NO_NOTE)
    checks.equal("and then with the first again", await ask(0), expected.NO_NOTE)
    checks.equal("which the tool has seen", await attempts(client, "read_line") - before, 5)


async def each_change_is_told_once(client, changes):
    checks.equal("the client is told of each change once", changes.unheard(), 0)


PROMISES = [
    tools_are_listed,
    retries_recover,
    callers_faults_open_no_breaker,
    panics_answer,
    a_breaker_opens_and_closes,
    messages_are_sent_once,
    the_last_word_is_the_tools,
    what_returns_nothing_reports,
    cancellation_stops_the_tool,
    questions_are_withdrawn,
    a_no_is_the_users,
    calls_run_side_by_side,
]


# With the options.
PROMISES_TO_MODELS = [
    a_dead_tool_is_withdrawn,
    repeated_failures_are_refused,
    each_change_is_told_once,
]


async def keep(promises, *given):
    for promise in promises:
        try:
            await promise(*given)
        except Exception as error:
            checks.true(promise.__name__, False, repr(error))


async def main(server):
    async with stdio_client(StdioServerParameters(command=server)) as streams:
        async with ClientSession(*streams, elicitation_callback=user.asked) as session:
            await session.initialize()
            await keep(PROMISES, session)

    with_options = StdioServerParameters(command=server, args=expected.OPTIONS)
    changes = Changes()
    async with Client(with_options, mode="legacy", message_handler=changes.hear) as client:
        print(f"protocol {client.protocol_version}")
        await keep(PROMISES_TO_MODELS, client, changes)
    changes = Changes()
    async with Client(with_options, mode="auto", message_handler=changes.hear) as client:
        print(f"protocol {client.protocol_version}")
        # Since this revision, a client is told of what it asks to be told of.
        async with client.listen(tools_list_changed=True):
            await keep(PROMISES_TO_MODELS, client, changes)


anyio.run(main, sys.argv[1])
sys.exit(checks.close())
