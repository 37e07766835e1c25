// Puts what the function needs at run time, and nothing else, into dist/.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join, relative } from "node:path";

const root = process.cwd();
const target = join(root, "dist");

rmSync(target, { recursive: true, force: true });
mkdirSync(target);
cpSync(join(root, "src"), target, { recursive: true });
cpSync(join(root, "package.json"), join(target, "package.json"));

const production = execFileSync("npm", ["ls", "--omit=dev", "--all", "--parseable"], { encoding: "utf8" });
for (const directory of production.trim().split("\n").slice(1)) {
  cpSync(directory, join(target, relative(root, directory)), { recursive: true });
}
