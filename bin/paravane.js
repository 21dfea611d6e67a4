#!/usr/bin/env node
// The command. In a checkout that was never built it sets itself up first; an installed package always has dist/.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const main = new URL('../dist/app/cli/bin.js', import.meta.url);
if (!existsSync(main)) {
  const setup = fileURLToPath(new URL('../scripts/setup.mjs', import.meta.url));
  const { status } = spawnSync(process.execPath, [setup], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
await import(main.href);
