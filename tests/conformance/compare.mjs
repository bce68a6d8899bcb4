// Compares the checks of the conformance suite on a server without the sandbox with those on the same server with it.
// Argument: the folder of the results, with a folder for each mode in it, and one for each run in that.

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const [results] = process.argv.slice(2);
const folders = (path) =>
  readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);

/** What the suite has found of a server: how many scenarios and checks it has run, and what they are. */
function found(mode) {
  const all = { scenarios: 0, checks: 0, failed: new Set(), findings: new Set() };
  for (const run of folders(join(results, mode))) {
    for (const folder of folders(join(results, mode, run))) {
      // Its name has the time of the run behind that of the scenario.
      const scenario = folder.replace(/^server-/, "").replace(/-\d{4}-\d\d-\d\dT[-\dZ]+$/, "");
      all.scenarios += 1;
      const checks = readFileSync(join(results, mode, run, folder, "checks.json"), "utf8");
      for (const { id, name, status } of JSON.parse(checks)) {
        all.checks += 1;
        all.findings.add(`${run} ${scenario}: ${id} (${name}) ${status}`);
        if (status === "FAILURE") all.failed.add(scenario);
      }
    }
  }
  return all;
}

const plain = found("plain");
// A scenario that the server has nothing for would be the same in all modes.
let differences = 0;
const differs = (line) => {
  differences += 1;
  console.log(line);
};
for (const scenario of plain.failed) differs(`FAILED  ${scenario}, without the sandbox`);
console.log(`plain      ${plain.scenarios} scenario runs, ${plain.checks} checks`);
for (const mode of ["wrapped", "sandboxed"]) {
  const guarded = found(mode);
  if (guarded.scenarios !== plain.scenarios) differs(`FAILED  ${mode}: not every scenario has run`);
  for (const finding of plain.findings.difference(guarded.findings)) differs(`FAILED  ${mode} has no  ${finding}`);
  for (const finding of guarded.findings.difference(plain.findings)) differs(`FAILED  only ${mode} has  ${finding}`);
  console.log(`${mode.padEnd(10)} ${guarded.scenarios} scenario runs, ${guarded.checks} checks`);
}
console.log(`${differences} differences`);
process.exit(differences > 0 || plain.scenarios === 0 ? 1 : 0);
