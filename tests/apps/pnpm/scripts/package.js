// Puts what the function needs at run time, and nothing else, into dist/: its source, and its dependencies with theirs.
import { cpSync, existsSync, mkdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const manifest = (directory) => JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));

function find(name, from) {
  for (let directory = from; ; directory = dirname(directory)) {
    const found = join(directory, "node_modules", name);
    if (existsSync(found)) return realpathSync(found);
    if (directory === dirname(directory)) throw new Error(`${name} is not installed`);
  }
}

function copy(name, from, into) {
  const directory = find(name, from);
  const target = join(into, "node_modules", name);
  const own = (path) => !path.slice(directory.length).split("/").includes("node_modules");
  cpSync(directory, target, { recursive: true, dereference: true, filter: own });
  for (const next of Object.keys(manifest(directory).dependencies ?? {})) copy(next, directory, target);
}

const root = resolve(process.argv[2]);
const dist = join(process.cwd(), "dist");
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
cpSync(join(root, "src"), dist, { recursive: true });
cpSync(join(root, "package.json"), join(dist, "package.json"));
for (const name of Object.keys(manifest(root).dependencies ?? {})) copy(name, root, dist);
