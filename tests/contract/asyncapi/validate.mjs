// Prints the complaints of AsyncAPI's own parser about each page named, as JSON: {page: ["code at path: message", …]}.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const ERROR = 0;
const complaints = {};
for (const page of process.argv.slice(2)) {
  const { diagnostics } = await new Parser().parse(readFileSync(page, "utf8"), { source: page });
  complaints[page] = diagnostics
    .filter((one) => one.severity === ERROR)
    .map((one) => `${one.code} at ${one.path.join("/")}: ${one.message}`);
}
console.log(JSON.stringify(complaints));
