/** Before the tests: what the Python package gives. `CODETALKER_PYTHON` names its interpreter. */

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export default function setup(): void {
  const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  const environment = { ...process.env, PYTHONPATH: process.env.PYTHONPATH ?? here("../../src") };
  execFileSync(process.env.CODETALKER_PYTHON ?? "python3", [here("golden.py"), here(".golden")], {
    env: environment,
    stdio: "inherit",
  });
}
