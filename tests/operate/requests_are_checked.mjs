// Who may do what over HTTP, and what there is to read.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { start, until } from "./support.mjs";

const TOOLS = ["fetch", "keep_note", "search", "summarise"];
let program;
before(async () => (program = await start()));
after(() => program?.stop());

/** What a switch changes, of every tool. */
async function switches() {
  const tools = await program.tools();
  return tools.map(({ name, disabled, shadow, breaker }) => {
    return { name, disabled, shadow, isForced: breaker.state === "forced_open" };
  });
}

test("the list has every tool and its state", async () => {
  const tools = await program.tools();
  assert.deepEqual(tools.map((tool) => tool.name), TOOLS);
  for (const tool of tools) assert.ok(["closed", "open", "half_open"].includes(tool.breaker.state), tool.breaker.state);
});

test("only this machine by its own names comes in", async () => {
  const { port } = program.address;
  const [own, local] = [`127.0.0.1:${port}`, `localhost:${port}`];
  const cases = [
    [200, { Host: own }],
    [200, { Host: local }],
    [200, { Host: own, Origin: `http://${own}` }],
    [200, { Host: local, Origin: `http://${local}` }],
    // The name of a site that its owner lets point to this machine.
    [403, { Host: `rebound.example:${port}` }],
    [403, { Host: `rebound.example:${port}`, Origin: `http://rebound.example:${port}` }],
    [403, { Host: "127.0.0.1" }],
    [403, { Host: "127.0.0.1:1" }],
    [403, { Host: "" }],
    [403, { Host: own, Origin: "https://elsewhere.example" }],
    [403, { Host: own, Origin: `http://${local}` }],
    [403, { Host: own, Origin: `https://${own}` }],
    [403, { Host: own, Origin: "null" }],
    [403, { Host: own, Origin: [`http://${own}`, "https://elsewhere.example"] }],
  ];
  for (const path of ["/", "/tools", "/metrics", "/nothing"]) {
    for (const [status, headers] of cases) {
      const answer = await program.ask("GET", path, { headers });
      const expected = path === "/nothing" && status === 200 ? 404 : status;
      assert.equal(answer.status, expected, `${path} with ${JSON.stringify(headers)}: ${answer.text}`);
      if (status === 403) assert.match(answer.text, /^the request (is for|is from|has) .*; open http:\/\/127\.0\.0\.1:\d+\/$/);
    }
  }
});

test("another origin switches nothing, even with the token", async () => {
  const earlier = await switches();
  const authorization = `Bearer ${program.token}`;
  const headers = { authorization, Origin: "https://elsewhere.example" };
  const answer = await program.ask("POST", "/tools/keep_note/disable", { headers, body: '{"reason": "mischief"}' });
  assert.equal(answer.status, 403);
  assert.equal(answer.headers["access-control-allow-origin"], undefined);
  assert.deepEqual(await switches(), earlier);
});

test("it listens on no other address", async () => {
  // On the loopback device as well, so that there is one on every machine.
  const refused = { code: "ECONNREFUSED" };
  await assert.rejects(program.ask("GET", "/tools", { host: "127.0.0.2" }), refused);
});

test("other methods are refused, and told which there are", async () => {
  const authorization = `Bearer ${program.token}`;
  const cases = [
    ["/", "POST", "GET,HEAD"],
    ["/tools", "POST", "GET,HEAD"],
    ["/tools", "DELETE", "GET,HEAD"],
    ["/tools", "OPTIONS", "GET,HEAD"],
    ["/metrics", "PUT", "GET,HEAD"],
    ["/tools/search/disable", "GET", "POST"],
    ["/tools/search/disable", "OPTIONS", "POST"],
    ["/tools/search/disable", "PUT", "POST"],
  ];
  for (const [path, method, allow] of cases) {
    const answer = await program.ask(method, path, { headers: { authorization } });
    assert.deepEqual([answer.status, answer.headers.allow], [405, allow], `${method} ${path}`);
  }
});

test("without the token nothing is switched", async () => {
  const earlier = await switches();
  const { token } = program;
  const wrong = token.replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
  const almost = ["", wrong, token.slice(1), `${token}0`].map((given) => `Bearer ${given}`);
  for (const authorization of [undefined, "", token, `Basic ${token}`, ...almost]) {
    for (const what of ["disable", "enable", "open", "reset", "shadow", "unshadow"]) {
      const headers = authorization === undefined ? {} : { authorization };
      const answer = await program.ask("POST", `/tools/keep_note/${what}`, { headers, body: '{"reason": "a test"}' });
      assert.equal(answer.status, 401, `${what} with ${authorization}`);
      assert.equal(answer.headers["www-authenticate"], "Bearer");
      assert.match(answer.text, /^(the token is wrong|there is no token); send the one that the program has printed/);
    }
  }
  // Both are missing, and the stranger learns of neither.
  assert.equal((await program.ask("POST", "/tools/nothing/disable", { body: "x".repeat(100_000) })).status, 401);
  assert.deepEqual(await switches(), earlier);
});

test("what is not understood changes nothing, and is told with a remedy", async () => {
  const earlier = await switches();
  const headers = { authorization: `Bearer ${program.token}` };
  const cases = [
    ["/tools/serch/disable", '{"reason": "a test"}', 404, /^there is no tool `serch`; there are `fetch`, `keep_note`, `search`, /],
    ["/tools/search/stop", "", 404, /^there is no switch `stop`; there are `disable`, `enable`, `open`, `reset`, /],
    ["/tools/search/disable", "", 400, /^EOF .*; send \{"reason": "why"/],
    ["/tools/search/disable", "a test", 400, /^expected value .*; send \{"reason"/],
    ["/tools/search/disable", "{}", 400, /^missing field `reason` .*; send \{"reason"/],
    ["/tools/search/disable", '{"reason": " "}', 400, /^the reason is empty; send \{"reason"/],
    ["/tools/search/disable", '{"reason": "a test", "for": 1}', 400, /^unknown field `for`, .*`for_ms`.*; send/],
    ["/tools/search/disable", '{"reason": "a test", "for_ms": -1}', 400, /^invalid value: integer `-1`.*; send/],
    ["/tools/search/disable", JSON.stringify({ reason: "x".repeat(5_000) }), 413, /length limit/],
  ];
  for (const [path, body, status, text] of cases) {
    const answer = await program.ask("POST", path, { headers, body });
    assert.equal(answer.status, status, `${path} with ${body.slice(0, 60)}: ${answer.text}`);
    assert.match(answer.text, text);
  }
  assert.deepEqual(await switches(), earlier);
});

test("a tool is switched by its name or its path, and what it then is comes back", async () => {
  const body = { reason: "the notes move", for_ms: 3_600_000 };
  const off = JSON.parse((await program.switch("operate::keep_note", "disable", body)).text);
  assert.equal(off.name, "keep_note");
  assert.equal(off.disabled.reason, "the notes move");
  assert.ok(off.disabled.left_ms > 3_500_000 && off.disabled.left_ms <= 3_600_000, `left: ${off.disabled.left_ms}`);
  await until("calls are not made", async () => (await program.tool("keep_note")).counters.ends.disabled > 0);
  const on = JSON.parse((await program.switch("keep_note", "enable")).text);
  assert.equal(on.disabled, null);
});

test("a time that is over switches the tool on", async () => {
  const off = JSON.parse((await program.switch("keep_note", "disable", { reason: "a moment", for_ms: 1_000 })).text);
  assert.ok(off.disabled.left_ms > 0 && off.disabled.left_ms <= 1_000, `left: ${off.disabled.left_ms}`);
  await until("it is on again", async () => (await program.tool("keep_note")).disabled === null);
});

test("the page allows nothing from elsewhere", async () => {
  const policies = [];
  for (const path of ["/", "/"]) {
    const { headers, text } = await program.ask("GET", path);
    const policy = headers["content-security-policy"];
    const [, nonce] = policy.match(/script-src 'nonce-([0-9a-f]{32})'/);
    for (const part of ["default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'", "form-action 'none'"]) {
      assert.ok(policy.split("; ").includes(part), `${part} in ${policy}`);
    }
    assert.deepEqual([headers["x-content-type-options"], headers["cache-control"]], ["nosniff", "no-store"]);
    assert.equal(text.split(`nonce="${nonce}"`).length, 3, "the style and the script have the nonce of the policy");
    assert.doesNotMatch(text, /(src|href)="(?!data:)/, "the page refers to something");
    policies.push(policy);
  }
  assert.notEqual(policies[0], policies[1], "each page has its own nonce");
});

test("the metrics have the instruments, of every tool", async () => {
  const names = [
    ["gen_ai_execute_tool_duration", "histogram"],
    ["sandboxed_attempt_duration", "histogram"],
    ["sandboxed_retry_delay", "histogram"],
    ["sandboxed_calls_active", "gauge"],
    ["sandboxed_call_stops", "counter"],
    ["sandboxed_breaker_transitions", "counter"],
    ["sandboxed_breaker_rejections", "counter"],
    ["sandboxed_breaker_state_time", "counter"],
  ];
  const patterns = names.map(([name, kind]) => new RegExp(`^# TYPE ${name} ${kind}$`, "m"));
  for (const tool of TOOLS) {
    const ofTool = `gen_ai_tool_name="${tool}"`;
    patterns.push(new RegExp(`^sandboxed_call_stops\\{${ofTool},sandboxed_stop="succeeded"\\} [1-9]`, "m"));
    patterns.push(new RegExp(`^gen_ai_execute_tool_duration_bucket\\{.*${ofTool},le="0.5"\\} [1-9]`, "m"));
  }
  for (const pattern of patterns) {
    // Some are there from the first opening on.
    await until(`the metrics have ${pattern}`, async () => pattern.test((await program.ask("GET", "/metrics")).text));
  }
});
