// Calls the tools of the MCP server that is given as argument, with the TypeScript package of MCP: once as clients have
// done it for long, and once as the revision of the protocol has it that knows no session. Each by itself, and with options.

import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const [server] = process.argv.slice(2);
const names = ["archive", "delete_archive", "read_line", "ring", "send", "sign", "status", "visitors", "weather"];
let passed = 0;
let failed = 0;

/** Counts a check: what throws in it has failed. */
async function promise(what, check) {
  try {
    await check();
    passed += 1;
    console.log(`ok      ${what}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${what}:\n  ${error.message.replaceAll("\n", "\n  ")}`);
  }
}

async function toolsAreListed(client) {
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map((tool) => tool.name).sort(), names);
  const schemas = tools.filter((tool) => tool.outputSchema).map((tool) => tool.name);
  assert.deepEqual(schemas.sort(), ["status", "visitors", "weather"], "tools with an output schema");
}

async function retriesAreTold(client) {
  const told = [];
  const call = { name: "weather", arguments: { city: "Lisbon" } };
  const answer = await client.callTool(call, { onprogress: (progress) => told.push(progress) });
  assert.deepEqual(answer.structuredContent, { city: "Lisbon", celsius: 21 });
  assert.equal(told.length, 2, "one notification for each retry");
  assert.ok(told[0].progress < told[1].progress, "values increase");
  told.forEach(({ message, total }, index) => {
    // Attempt, of how many, why, and when the next begins.
    const attempt = `\`weather\`: attempt ${index + 1} of 3`;
    assert.match(message, new RegExp(`^${attempt} failed: .*503.*; the next begins (in \\d+ m?s|now)$`));
    assert.equal(total, 3);
  });
}

async function retriesAreToldOnlyOnRequest(client) {
  const seen = [];
  const transport = client.transport;
  const deliver = transport.onmessage;
  transport.onmessage = (message, ...rest) => {
    seen.push(message.method ?? "answer");
    deliver(message, ...rest);
  };
  await client.callTool({ name: "weather", arguments: { city: "Faro" } });
  transport.onmessage = deliver;
  assert.deepEqual(seen, ["answer"]);
}

// `visitors` has an output schema, which this client checks: it throws if the failure does not match.
async function timeoutsAreAnswers(client) {
  const answer = await client.callTool({ name: "visitors", arguments: { month: "may" } });
  assert.equal(answer.isError, true);
  assert.equal(answer.structuredContent, undefined);
  const [{ type, text }] = answer.content;
  assert.equal(type, "text");
  assert.equal(
    text,
    "`visitors` timed out after 300 ms, in the last of 2 attempts. It is switched off for 2 s now: go on without it.",
  );
  const failure = answer._meta["sandboxed/failure"];
  assert.equal(failure.kind, "timeout");
  assert.equal(failure.tool, "visitors");
  assert.match(failure.call_id, /^[0-9a-f]{32}$/);
  assert.ok(failure.deadline_ms > 54_000 && failure.deadline_ms <= 55_000, `${failure.deadline_ms} ms are left`);
}

async function refusalsAreAnswers(client) {
  const answer = await client.callTool({ name: "visitors", arguments: { month: "may" } });
  assert.equal(answer.isError, true);
  assert.equal(answer._meta["sandboxed/failure"].kind, "circuit_breaker_open");
}

async function panicsAreAnswers(client) {
  const answer = await client.callTool({ name: "read_line", arguments: { note: "todo", number: 7 } });
  assert.equal(answer.isError, true);
  assert.equal(answer._meta["sandboxed/failure"].kind, "panicked");
}

async function emptyAnswersReport(client) {
  const answer = await client.callTool({ name: "ring", arguments: {} });
  assert.equal(answer.isError, true);
  assert.equal(answer._meta["sandboxed/failure"].tool, "ring");
}

async function callersFaultsAreTheToolsOwn(client) {
  const answer = await client.callTool({ name: "read_line", arguments: { note: "diary", number: 0 } });
  assert.deepEqual(answer.content, [{ type: "text", text: "there is no note `diary`" }]);
  assert.equal(answer.isError, true);
  assert.equal(answer._meta?.["sandboxed/failure"], undefined);
}

async function archived(client) {
  const { structuredContent } = await client.callTool({ name: "status", arguments: {} });
  return structuredContent.bytes_archived;
}

async function cancellingEndsTheTool(client) {
  const cancelling = new AbortController();
  const call = client.callTool({ name: "archive", arguments: {} }, { signal: cancelling.signal });
  const rejected = assert.rejects(call);
  await sleep(300);
  const early = await archived(client);
  await sleep(200);
  assert.ok((await archived(client)) > early, "the tool works until it is cancelled");
  cancelling.abort("the user has changed her mind");
  await rejected;
  const atOnce = await archived(client);
  await sleep(500);
  assert.equal(await archived(client), atOnce, "the tool stops");
}

/** Calls the tool that asks its user. `user` gets a signal that the question is withdrawn, and returns what the user says. */
async function deleteArchive(client, user) {
  const questions = [];
  client.setRequestHandler("elicitation/create", ({ params }, { mcpReq }) => {
    questions.push(params.message);
    return user(mcpReq.signal);
  });
  const answer = await client.callTool({ name: "delete_archive", arguments: {} });
  return { answer, questions };
}

async function unansweredQuestionsAreWithdrawn(client) {
  let withdrawn = 0;
  const { answer, questions } = await deleteArchive(client, async (signal) => {
    await once(signal, "abort");
    withdrawn += 1;
  });
  assert.equal(answer.isError, true);
  assert.equal(answer._meta["sandboxed/failure"].kind, "timeout");
  assert.equal(questions.length, 2, "one for each attempt");
  await sleep(100);
  assert.equal(withdrawn, 2);
}

async function declinedQuestionsAreAskedOnce(client) {
  const kept = await archived(client);
  for (let call = 0; call < 6; call += 1) {
    const { answer, questions } = await deleteArchive(client, () => ({ action: "decline" }));
    assert.deepEqual(questions, [`Delete the copy of the archive (${kept} bytes)?`]);
    assert.deepEqual(answer.content, [{ type: "text", text: "not confirmed: User explicitly declined the request" }]);
    assert.equal(answer.isError, true);
    assert.equal(answer._meta?.["sandboxed/failure"], undefined);
  }
  assert.equal(await archived(client), kept);
}

async function acceptedQuestionsAreAskedOnce(client) {
  const kept = await archived(client);
  const { answer, questions } = await deleteArchive(client, () => ({ action: "accept", content: { delete: true } }));
  assert.deepEqual(answer.content, [{ type: "text", text: `deleted ${kept} bytes` }]);
  assert.equal(questions.length, 1);
  assert.equal(await archived(client), 0);
}

async function unaskedQuestionsAreErrors(client) {
  const kept = await archived(client);
  for (let call = 0; call < 6; call += 1) {
    const { answer, questions } = await deleteArchive(client, () => ({ action: "accept", content: { delete: true } }));
    assert.equal(questions.length, 0);
    assert.match(answer.content[0].text, /^not confirmed: /);
    assert.equal(answer.isError, true);
  }
  assert.equal(await archived(client), kept);
}

/** The lists that the package gets by itself, one for each time that it is told of a change. */
class Lists extends EventEmitter {
  got = [];

  /** The option that makes the package do so. */
  get onChange() {
    const onChanged = (error, tools) => {
      this.got.push(error ?? tools.map((tool) => tool.name).sort());
      this.emit("got");
    };
    // Without this, changes within 300 ms are one.
    return { tools: { onChanged, debounceMs: 0 } };
  }

  /** The list after so many changes. */
  async after(changes) {
    while (this.got.length < changes) {
      await once(this, "got", { signal: AbortSignal.timeout(10_000) });
    }
    return this.got[changes - 1];
  }
}

async function deadToolsAreWithdrawn(client, lists) {
  const withdrawn = names.filter((name) => name !== "visitors");
  const visitors = () => client.callTool({ name: "visitors", arguments: { month: "may" } });
  await toolsAreListed(client);
  assert.equal((await visitors())._meta["sandboxed/failure"].kind, "timeout");
  assert.deepEqual(await lists.after(1), withdrawn);
  // The package lets this through, although it knows of no such tool.
  const refused = await visitors();
  assert.equal(refused.isError, true);
  assert.equal(
    refused.content[0].text,
    "`visitors` is unavailable after repeated failures (circuit breaker open) and was not called. Do not call it again for " +
      "2 s; go on without it.",
  );
  assert.deepEqual(await lists.after(2), names, "after the cooldown");
  assert.deepEqual((await visitors()).structuredContent, { month: "may", visitors: 1024 });
}

async function repeatedFailuresAreRefused(client) {
  const ask = async (number) => {
    const answer = await client.callTool({ name: "read_line", arguments: { note: "diary", number } });
    assert.equal(answer.isError, true);
    return answer.content[0].text;
  };
  const attempts = async () => {
    const { structuredContent } = await client.callTool({ name: "status", arguments: {} });
    return structuredContent.tools.read_line.attempts;
  };
  const failed = "there is no note `diary`";
  const refused =
    "`read_line` has failed 3 times in a row with exactly these arguments, and was not called again. Change them, or go on " +
    "without it.";
  const before = await attempts();
  const answers = [await ask(0), await ask(0), await ask(0), await ask(0), await ask(0)];
  assert.deepEqual(answers, [failed, failed, failed, refused, refused]);
  assert.equal((await attempts()) - before, 3, "the last two were not made");
  assert.deepEqual([await ask(1), await ask(0)], [failed, failed], "another argument begins a new count");
  assert.equal((await attempts()) - before, 5, "these were made");
}

for (const mode of ["legacy", { pin: "2026-07-28" }]) {
  const capabilities = { elicitation: { form: {} } };
  const client = new Client({ name: "end-to-end", version: "0" }, { capabilities, versionNegotiation: { mode } });
  await client.connect(new StdioClientTransport({ command: server }));
  console.log(`protocol ${client.getNegotiatedProtocolVersion()}`);
  await promise("tools are listed", () => toolsAreListed(client));
  await promise("a client that asks for progress is told of each retry", () => retriesAreTold(client));
  await promise("another is not", () => retriesAreToldOnlyOnRequest(client));
  await promise("a timeout is an answer, whatever the output schema", () => timeoutsAreAnswers(client));
  await promise("and so is a refusal", () => refusalsAreAnswers(client));
  await promise("and a panic", () => panicsAreAnswers(client));
  await promise("a tool that returns nothing reports a timeout", () => emptyAnswersReport(client));
  await promise("an error that is the caller's fault is the tool's own", () => callersFaultsAreTheToolsOwn(client));
  await promise("cancelling a request ends the tool", () => cancellingEndsTheTool(client));
  if (mode === "legacy") {
    await promise("a question that nobody answers is withdrawn", () => unansweredQuestionsAreWithdrawn(client));
    await promise("one that the user declines is asked once, and leaves no mark", () => declinedQuestionsAreAskedOnce(client));
    await promise("one that the user accepts is asked once, and the tool goes on", () => acceptedQuestionsAreAskedOnce(client));
  } else {
    // This revision has no requests from a server to its client, and rmcp sends none.
    await promise("a question that cannot be asked is an error, and leaves no mark", () => unaskedQuestionsAreErrors(client));
  }
  await client.close();

  const lists = new Lists();
  const withOptions = new Client(
    { name: "end-to-end", version: "0" },
    { versionNegotiation: { mode }, listChanged: lists.onChange },
  );
  const args = ["--withdraw-unavailable", "--refuse-repeated-failures"];
  await withOptions.connect(new StdioClientTransport({ command: server, args }));
  await promise("a dead tool is withdrawn until it may be tried again", () => deadToolsAreWithdrawn(withOptions, lists));
  await promise("a call that fails again and again is refused", () => repeatedFailuresAreRefused(withOptions));
  await promise("each change is told once", () => assert.equal(lists.got.length, 2));
  await withOptions.close();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
