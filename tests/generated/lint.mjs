// Lints an OpenAPI document as `redocly lint` does, and prints a line for each finding.
import { createConfig, lint } from "@redocly/openapi-core";

const config = await createConfig({ extends: ["recommended"] });
for (const found of await lint({ ref: process.argv[2], config })) {
  console.log(`${found.severity} ${found.ruleId}: ${found.message} ${found.location[0]?.pointer}`);
}
