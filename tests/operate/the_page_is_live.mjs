// The page in a browser: what it shows, and what its switches do. With SCREENSHOT, a picture of it is written to that file.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import puppeteer from "puppeteer-core";
import { start, until } from "./support.mjs";

let program;
let browser;
let page;
const complaints = [];

before(async () => {
  program = await start();
  // Chromium's own sandbox does not start as root. The page that it shows is this program's.
  const options = { executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] };
  browser = await puppeteer.launch(options);
  page = await browser.newPage();
  page.on("pageerror", (error) => complaints.push(error.message));
  // Of the policy for its content, for one. That a request was refused is no complaint of the page.
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) complaints.push(message.text());
  });
  page.on("requestfailed", (request) => complaints.push(`${request.url()}: ${request.failure().errorText}`));
  // Every state that a tool is shown in, from the beginning.
  await page.evaluateOnNewDocument(() => {
    window.states = {};
    new MutationObserver((changes) => {
      for (const { target } of changes) {
        const seen = (window.states[target.dataset.tool] ??= []);
        if (seen.at(-1) !== target.dataset.state) seen.push(target.dataset.state);
      }
    }).observe(document, { subtree: true, attributeFilter: ["data-state"] });
  });
  await page.setViewport({ width: 960, height: 920 });
  await page.goto(program.address.href);
});

after(async () => {
  await browser?.close();
  program?.stop();
});

const card = (tool) => `[data-tool=${tool}]`;
const text = (selector) => page.$eval(selector, (element) => element.textContent);
const press = (tool, what) => page.click(`${card(tool)} button[value=${what}]`);

async function fill(selector, value) {
  await page.$eval(selector, (element) => (element.value = ""));
  await page.type(selector, value);
}

/** Waits until a tool is shown in a state, and its badge says so. */
async function isShown(tool, state) {
  await until(`${tool} is shown as ${state}`, async () => {
    return (await page.$eval(card(tool), (element) => element.dataset.state)) === state;
  });
  assert.equal(await text(`${card(tool)} .badge`), state.replace("_", " "));
}

async function isTold(pattern) {
  await until(`the page says ${pattern}`, async () => pattern.test(await text("#told")));
}

test("a tool is seen to open and to close again", async () => {
  await until("`search` was shown as closed, open, and closed again", async () => {
    const states = (await page.evaluate(() => window.states.search)) ?? [];
    const opened = states.indexOf("open", states.indexOf("closed"));
    return states.includes("closed") && opened > 0 && states.includes("closed", opened);
  });
});

test("what came of calls is drawn, and the states below it", async () => {
  const isDrawn = (part) => page.$eval(`${card("search")} path.${part}`, (path) => path.getBBox().width > 0);
  for (const part of ["succeeded", "failed", "refused", "attempts", "closed", "open"]) {
    assert.ok(await isDrawn(part), `nothing is drawn of ${part}`);
  }
  assert.match(await text(`${card("search")} .figures`), /^\d+ calls, \d+ attempts · limit 400 ms, retries 1$/);
  await until("the last failure is told", async () => {
    return /^Last failure, \d+\.\d s ago: the index answered 503$/.test(await text(`${card("search")} .failure`));
  });
});

test("a wrong token switches nothing, and the page says so", async () => {
  await fill("#token", "0".repeat(32));
  await fill(`${card("keep_note")} .reason`, "the notes move");
  for (const what of ["disable", "open"]) {
    await press("keep_note", what);
    await isTold(/^keep_note is as it was: the token is wrong; send the one that the program has printed/);
    const { disabled, breaker } = await program.tool("keep_note");
    assert.deepEqual([disabled, breaker.state], [null, "closed"]);
    await page.$eval("#told", (element) => (element.textContent = ""));
  }
  await isShown("keep_note", "closed");
});

test("a tool is not disabled without a reason", async () => {
  await fill("#token", program.token);
  await fill(`${card("keep_note")} .reason`, " ");
  await press("keep_note", "disable");
  await isTold(/^keep_note is as it was: the reason is empty;/);
  assert.equal((await program.tool("keep_note")).disabled, null);
});

test("a tool is disabled with a reason, which everybody reads as it is", async () => {
  const reason = "the notes <b>move</b> & rest";
  await fill(`${card("keep_note")} .reason`, reason);
  await press("keep_note", "disable");
  await isShown("keep_note", "disabled");
  assert.equal(await text(`${card("keep_note")} .detail`), reason);
  assert.deepEqual((await program.tool("keep_note")).disabled, { reason, left_ms: null });
  await until("calls are not made", async () => (await program.tool("keep_note")).counters.ends.disabled > 0);

  await page.select(`${card("keep_note")} select`, "60000");
  await press("keep_note", "disable");
  const rest = / \(for another \d\d\.\d s\)$/;
  await until("the page says for how long", async () => rest.test(await text(`${card("keep_note")} .detail`)));
  assert.ok((await program.tool("keep_note")).disabled.left_ms <= 60_000);

  await press("keep_note", "enable");
  await isShown("keep_note", "closed");
  assert.equal((await program.tool("keep_note")).disabled, null);
});

test("a breaker is opened and reset by hand", async () => {
  await press("keep_note", "open");
  await isShown("keep_note", "forced_open");
  assert.equal((await program.tool("keep_note")).breaker.state, "forced_open");
  await press("keep_note", "reset");
  await isShown("keep_note", "closed");
  assert.equal((await program.tool("keep_note")).breaker.state, "closed");
});

test("a breaker in shadow refuses nothing, and tells what it would have refused", async () => {
  await press("keep_note", "open");
  await isShown("keep_note", "forced_open");
  await press("keep_note", "shadow");
  await until("a call was overlooked", async () => {
    return /^in shadow: .* would have refused [1-9]/.test(await text(`${card("keep_note")} .detail`));
  });
  const { shadow, breaker } = await program.tool("keep_note");
  assert.deepEqual([shadow, breaker.state], [true, "forced_open"]);
  await press("keep_note", "unshadow");
  await press("keep_note", "reset");
  await isShown("keep_note", "closed");
  assert.equal((await program.tool("keep_note")).shadow, false);
});

test("the token stays in the tab, and goes nowhere else", async () => {
  await page.reload();
  await until("the token is in its field", async () => (await page.$eval("#token", (field) => field.value)) === program.token);
  const kept = await page.evaluate(() => [localStorage.length, document.cookie, location.href]);
  assert.deepEqual(kept, [0, "", program.address.href]);
});

test("the page works without an error, and asks for nothing but its own", () => {
  assert.deepEqual(complaints, []);
});

test("a picture is taken", { skip: !process.env.SCREENSHOT }, async () => {
  await fill(`${card("keep_note")} .reason`, "the notes move to another disk");
  const width = () => page.$eval(`${card("search")} path.attempts`, (path) => path.getBBox().width);
  await until("a minute is nearly full", async () => (await width()) > 112);
  await press("keep_note", "disable");
  await until("the strip is full, and a tool is open", async () => {
    const open = await page.$(`[data-state=open]${card("search")}`);
    return open && (await width()) > 119;
  });
  await page.screenshot({ path: process.env.SCREENSHOT });
});

test("the page says when the program has ended", async () => {
  program.stop();
  await isTold(/^what is shown is old: /);
});
