// The commands and their options: what `--help` prints. Parsing of the values that have a meaning of their own (sizes,
// staleness, flush policies) is left to the rooms that own it; here they are still text.

import { Command, InvalidArgumentError, Option } from 'commander';
import { InputError } from '../../base/failures.js';
import type { Io } from './terminal.js';

/** What a defined command calls with its exit status. */
type Done = (status: number) => void;

const wholeNumber =
  (least: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least)
      throw new InvalidArgumentError(`expected a whole number, at least ${least}`);
    return value;
  };

/** "1..200", or a single seed. */
function seedRange(text: string): readonly [number, number] {
  const match = /^(\d{1,9})(?:\.\.(\d{1,9}))?$/.exec(text);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (!match || last < first) throw new InvalidArgumentError('expected FIRST..LAST, for example 1..200');
  return [first, last];
}

/** The options that say how stale the machine may be; the same for every command that runs one. */
function stalenessOptions(command: Command): Command {
  return command
    .addOption(new Option('--tlb <policy>', 'what the TLB keeps').choices(['coherent', 'demand', 'hoarding', 'random']))
    .option('--refill <policy>', 'what else loads translations: none, wrong-path[:N], any')
    .addOption(
      new Option('--cpu <vendor>', 'fault on stale rights (intel) or walk again first (amd)').choices(['intel', 'amd']),
    )
    .option('--flush <policy>', 'which flushes happen: abi, xen-4.1, xen-4.17[,xpti]')
    .option('--seed <number>', 'seed of --tlb random', wholeNumber(0));
}

export function demo(io: Io, done: Done): Command {
  return stalenessOptions(
    new Command('demo').description(
      "Make the 2013 crash happen: boot the built-in guest without the fix, show that its crash is the real host's, explain it, and boot the guest with the fix.",
    ),
  )
    .option('--matrix', 'every combination of policies, with and without the fix')
    .option('--seeds <range>', 'with --tlb random: run each seed, count the crashes (1..200)', seedRange)
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Examples:
  paravane demo                              the crash, explained, and cured
  paravane demo --cpu amd                    the same on a CPU that walks again
  paravane demo --matrix                     where it dies and where not
  paravane demo --tlb random --seeds 1..200  how often chance lets it die

Exit status: 0 the demo did what the rules say, 1 it did not, 2 bad usage.`,
    )
    .action(async (options) => done(await (await import('./demo.js')).demoCommand(options, io)));
}

export function run(io: Io, done: Done): Command {
  return stalenessOptions(
    new Command('run')
      .description('Boot a PV kernel (ELF). Its console is your terminal; Ctrl-] leaves.')
      .argument('<kernel>', 'a 64-bit PV kernel, for example grub-x86_64-xen.bin'),
  )
    .option('--initrd <file>', 'a module handed to the kernel as its initial ramdisk')
    .option('--append <text>', 'the kernel command line')
    .option('--memory <size>', "the domain's memory, for example 64M or 1G", '128M')
    .option('--name <name>', "the domain's name in xenstore", 'guest')
    .addOption(
      new Option('--xen <version>', 'the Xen that the guest sees and whose dump format is used').choices([
        '4.1',
        '4.17',
      ]),
    )
    .option('--until <text>', 'succeed as soon as the console has shown this text')
    .option('--time-limit <seconds>', 'give up after so many seconds', wholeNumber(1))
    .option('--stop-at <instruction>', 'stop before this retired instruction and show the registers', wholeNumber(0))
    .option('--stats', 'at the end: instructions, hypercalls, those Xen did not know')
    .option('--json', 'print the outcome as JSON on stdout; the console goes to stderr')
    .addHelpText(
      'after',
      `
Input: a terminal is the guest's console. Anything else on stdin is read to its
end first and then typed, so that the run repeats to the instruction.

Exit status: 0 clean shutdown or --until's text seen, 1 the guest crashed,
2 bad usage or input, 124 a limit was reached.`,
    )
    .action(async (kernel, options) => done(await (await import('./run.js')).runCommand(kernel, options, io)));
}

export function museum(io: Io, done: Done): Command {
  return stalenessOptions(
    new Command('museum')
      .description('Real bugs of missing TLB flushes, each as a small guest with the bug and a guest without.')
      .argument('[name]', 'an exhibit: its story, and its two runs; without it, the list'),
  )
    .option(
      '--check',
      'run every exhibit (or this one), before and after, on every bench, and compare with what the rules say',
    )
    .option('--json', 'print the result as JSON')
    .addHelpText('after', '\nExit status: 0 as it should be, 1 --check found something else, 2 bad usage.')
    .action(async (name: string | undefined, options) =>
      done((await import('./museum.js')).museumCommand(name, options, io)),
    );
}

export function check(io: Io, done: Done): Command {
  return stalenessOptions(
    new Command('check')
      .description(
        'Boot PV kernels under the sanitizer: every use of a translation that should have been flushed, found whether or not it does harm in this run.',
      )
      .argument('[kernels...]', '64-bit PV kernels (ELF)'),
  )
    .addOption(new Option('--guest <name>', 'a built-in guest instead').choices(['seed', 'seed-fixed']))
    .option('--initrd <file>', 'a module handed to each kernel as its initial ramdisk')
    .option('--append <text>', 'the kernel command line')
    .option('--memory <size>', "the domain's memory, for example 64M or 1G", '128M')
    .addOption(
      new Option('--xen <version>', 'the Xen that the guest sees and whose dump format is used').choices([
        '4.1',
        '4.17',
      ]),
    )
    .option('--until <text>', 'a kernel is done as soon as its console has shown this text')
    .option('--instructions <count>', 'a kernel is done after so many instructions', wholeNumber(1), 500_000_000)
    .option('--stop-at <instruction>', 'stop before this retired instruction and show the registers', wholeNumber(0))
    .option('--all', 'also what needs no action: tolerated faults, windows')
    .option('--trust-accidents', "count Xen's own flushes as flushes, also those that no guest may rely on")
    .option('--suppressions <file>', 'rules for what not to show, one a line: kind:, grade:, change:, use:, title:')
    .option('--json', 'the findings as fields')
    .option('--sarif', 'the findings as SARIF 2.1.0, for CI systems')
    .addHelpText(
      'after',
      `
A kernel is also done when it ends, or waits for input that cannot come.

Examples:
  paravane check --guest seed                the bug of 2013, on the first run
  paravane check --tlb coherent --guest seed the same where it does no harm
  paravane check grub.bin --until 'grub>'    a kernel of your own

Exit status: 0 nothing that needs action, 2 bad usage or input, 3 findings.`,
    )
    .action(async (kernels: readonly string[], options) => {
      if (options.json && options.sarif) throw new InputError('--json and --sarif exclude each other');
      done((await import('./check.js')).checkCommand(kernels, options, io));
    });
}

export function explain(io: Io, done: Done): Command {
  return new Command('explain')
    .description('Read a crash log (of a Xen host or of Linux) and say what happened and why.')
    .argument('[file]', 'the log; standard input when there is none or it is -')
    .option('--json', 'the same facts as fields')
    .option('--markdown', 'for a bug report')
    .option('--symbols <file...>', 'names: System.map, vmlinux, vmlinuz, kallsyms, xen-syms')
    .option('--width <columns>', 'lay out for this width', wholeNumber(40))
    .addHelpText('after', '\nExit status: 0 explained, 2 cannot be read, 4 no crash found in it.')
    .action(async (file: string | undefined, options) => {
      if (options.json && options.markdown) throw new InputError('--json and --markdown exclude each other');
      done(await (await import('./explain.js')).explainCommand(file ? [file] : [], options, io));
    });
}
