// `paravane`: the command line. A command's logic is loaded only when it runs, so that `--help` and
// `explain` do not pay for the machine. Exit status: docs in README.md, "Exit status".

import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { InputError } from '../../base/failures.js';
import { check, demo, explain, museum, run } from './commands.js';
import type { Io } from './terminal.js';

/** Bad usage or input. */
const STATUS_INPUT = 2;

const packageVersion = (): string =>
  (createRequire(import.meta.url)('../../../package.json') as { readonly version: string }).version;

/** Runs one command line (without node and script name) and returns its exit status. Never throws for a user's mistake. */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  let status = 0;
  const program = new Command('paravane')
    .description('A Xen PV machine that makes missing TLB flushes happen, names them, and explains their crash logs.')
    .version(packageVersion(), '-V, --version')
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) })
    .configureHelp({ helpWidth: Math.min(io.stdout.columns ?? 80, 100) })
    .showHelpAfterError('(paravane --help lists what there is)')
    .exitOverride()
    .enablePositionalOptions();

  for (const define of [demo, run, check, explain, museum]) {
    const command = define(io, (result) => {
      status = result;
    });
    program.addCommand(command.copyInheritedSettings(program));
  }

  try {
    await program.parseAsync(argv, { from: 'user' });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : STATUS_INPUT;
    if (error instanceof InputError) {
      io.stderr.write(`paravane: ${error.message}\n`);
      return STATUS_INPUT;
    }
    throw error;
  }
}
