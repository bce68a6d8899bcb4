// What the tests have in common: the program, requests with any header, and conditions that come true some time.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { request } from "node:http";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

/** Generous: an outage begins within nine seconds, and the machine may be busy. */
const LIMIT_MS = 90_000;

/** Waits until `probe` returns something that is true, and returns it. `what` that is, is a text or makes one. */
export async function until(what, probe) {
  const end = performance.now() + LIMIT_MS;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (performance.now() > end) {
      const text = typeof what === "function" ? what() : what;
      assert.fail(`after ${LIMIT_MS / 1000} s it is not so that ${text}`);
    }
    await sleep(50);
  }
}

/** Starts the example, and returns it when it has printed its address and its token. */
export async function start(...args) {
  const child = spawn(process.env.OPERATE, ["--seed", "7", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const errors = [];
  createInterface({ input: child.stderr }).on("line", (line) => errors.push(line));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const read = async (name) => {
    const { value } = await lines.next();
    assert.ok(value?.startsWith(`${name}=`), `a line with the ${name}, and not ${value}; on standard error: ${errors}`);
    return value.slice(name.length + 1);
  };
  const address = new URL(await read("address"));
  return new Program(child, errors, address, await read("token"));
}

class Program {
  constructor(child, errors, address, token) {
    Object.assign(this, { child, errors, address, token });
  }

  stop() {
    this.child.kill();
  }

  /** Makes a request with exactly these headers, and returns `{ status, headers, text }`. */
  ask(method, path, { headers = {}, body = "", host = "127.0.0.1" } = {}) {
    return new Promise((answered, failed) => {
      const to = { host, port: this.address.port, method, path, headers, setHost: !("Host" in headers), agent: false };
      const sent = request(to, async (answer) => {
        answer.setEncoding("utf8");
        const parts = await answer.toArray();
        answered({ status: answer.statusCode, headers: answer.headers, text: parts.join("") });
      });
      sent.on("error", failed);
      sent.end(body);
    });
  }

  /** Uses a switch, with the token. */
  switch(tool, what, body) {
    const headers = { authorization: `Bearer ${this.token}` };
    return this.ask("POST", `/tools/${tool}/${what}`, { headers, body: body && JSON.stringify(body) });
  }

  /** The status of all tools, or of one. */
  async tools() {
    return JSON.parse((await this.ask("GET", "/tools")).text);
  }

  async tool(name) {
    return (await this.tools()).find((tool) => tool.name === name);
  }
}
