// Makes a checkout ready to run: installs the locked packages and builds dist/, each only when it is out of date.
// Called by `npm start`, `npm test`, `npm run bench` and, in a fresh clone, by bin/paravane.js.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const time = (path) => (existsSync(join(root, path)) ? statSync(join(root, path)).mtimeMs : 0);

/** Runs a step with its output on stderr, so that stdout stays the product's; stops the set-up if it fails. */
function step(what, command, args) {
  const run = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' });
  if (run.status !== 0) {
    process.stderr.write(`paravane: set-up failed: ${what} (${command} ${args.join(' ')}) exited with ${run.status}\n`);
    process.exit(run.status || 1);
  }
}

if (time('node_modules/.package-lock.json') < time('package-lock.json')) {
  process.stderr.write('paravane: installing packages (once)\n');
  // Not `npm ci`: it refuses a lock file made where other platforms' optional binaries could not be seen. `install` takes the
  // locked versions just the same, and --no-save leaves the lock file alone.
  step('installing packages', 'npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error']);
}
step('building', process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b']);
