// The settings file: what is right is in force, what is wrong changes nothing and is told once, and watching goes on.

import assert from "node:assert/strict";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { start, until } from "./support.mjs";

let folder;
let file;
let program;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "operate-"));
  file = join(folder, "settings.toml");
  program = await start("--settings", file);
});
after(async () => {
  program?.stop();
  await rm(folder, { recursive: true });
});

const searchWithin = (millis) => `version = 1\n\n[tool.search]\ntimeout_ms = ${millis}\n`;
const limit = async () => (await program.tool("search")).policy_in_force.timeout_ms;
const told = (text) => program.errors.join("\n").split(text).length - 1;

async function isInForce(millis) {
  await until(`the limit of \`search\` is ${millis} ms`, async () => (await limit()) === millis);
}

/** Waits until the file has been looked at again and again: a tool is called many times meanwhile. */
async function someTime() {
  const calls = async () => (await program.tool("search")).counters.calls;
  const before = await calls();
  await until("the tool was called", async () => (await calls()) > before + 50);
}

/** Waits until standard error has this text; it is not told again, and the limit is as it was. */
async function isToldOnce(text, millis) {
  await until(() => `standard error has ${text}, but ${program.errors.join("\n")}`, () => told(text) > 0);
  await someTime();
  assert.equal(told(text), 1, `once: ${program.errors.join("\n")}`);
  assert.equal(await limit(), millis, "the limit is as it was");
}

test("the program starts without the file", async () => {
  await isToldOnce("settings.toml changes nothing: No such file", 400);
});

test("a right file is in force", async () => {
  await writeFile(file, searchWithin(350));
  await isInForce(350);
  assert.equal((await program.tool("search")).policy.timeout_ms, 400, "what was compiled is still known");
});

test("a file that is half written changes nothing", async () => {
  const whole = searchWithin(340);
  await writeFile(file, whole.slice(0, whole.indexOf("_ms")));
  await isToldOnce("settings.toml changes nothing: TOML parse error at line 4", 350);
  await writeFile(file, whole);
  await isInForce(340);
});

test("an empty file changes nothing", async () => {
  await writeFile(file, "");
  await isToldOnce("missing field `version`", 340);
});

test("a wrong file changes nothing, and all of it counts", async () => {
  await writeFile(file, `${searchWithin(330)}\n[tool.serch]\ntimeout_ms = 1000\n`);
  await isToldOnce("there is no tool `serch`; did you mean `search`?", 340);
  await writeFile(file, searchWithin(0));
  await isToldOnce("`timeout_ms` is 0, so that every attempt would time out", 340);
});

test("a file that is replaced is in force, as editors do it", async () => {
  const beside = join(folder, "settings.toml.new");
  await writeFile(beside, searchWithin(320));
  await rename(beside, file);
  await isInForce(320);
});

test("a file that vanishes changes nothing, and is in force when it is back", async () => {
  program.errors.length = 0;
  await rm(file);
  await isToldOnce("settings.toml changes nothing: No such file", 320);
  await writeFile(file, searchWithin(310));
  await isInForce(310);
});

test("what is no longer in the file is as it was compiled", async () => {
  await writeFile(file, "version = 1\n");
  await isInForce(400);
});
