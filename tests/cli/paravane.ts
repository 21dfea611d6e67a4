// Runs the built command as a user does: a process of its own, with pipes for its streams.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../bin/paravane.js', import.meta.url));

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function paravane(args: readonly string[], options: { stdin?: string; env?: Record<string, string> } = {}): Ran {
  const { FORCE_COLOR: _, NO_COLOR: __, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args], {
    input: options.stdin ?? '',
    encoding: 'latin1',
    env: { ...env, ...options.env },
    maxBuffer: 1 << 26,
  });
  return { status, stdout: utf8(stdout), stderr: utf8(stderr) };
}

const utf8 = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');
