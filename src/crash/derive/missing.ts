// What a dump of this kind has and this text has not, and what that leaves open.

import type { CrashKind, Facts, WordRegister } from '../facts.js';
import type { Case } from './case.js';

// biome-ignore format: a row as the dumps have it
const GENERAL: readonly WordRegister[] = [
  'rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp', 'rsp', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15',
];

/** Sentences, most serious first. */
export function missing(of: Case): readonly string[] {
  const { facts } = of;
  switch (facts.system) {
    case 'xen-guest':
      return [...missingOfFault(of), ...missingOfGuest(facts), ...missingRegisters(facts), ...missingCode(of)];
    default:
      return printsState(facts) ? [...missingOfFault(of), ...missingRegisters(facts), ...missingCode(of)] : [];
  }
}

/** Reports, panics and lock-ups may come without registers: there nothing is lost. */
const printsState = ({ kind, registers }: Facts): boolean =>
  registers !== undefined || kind === undefined || !WITHOUT_STATE.includes(kind);
const WITHOUT_STATE: readonly CrashKind[] = [
  'panic',
  'sanitizer',
  'warning',
  'hung-task',
  'rcu-stall',
  'soft-lockup',
  'hard-lockup',
  'machine-check',
  'bug',
  '32-bit',
];

function missingOfFault({ facts, walk, isPageFault, errorCode, address }: Case): readonly string[] {
  const lost: string[] = [];
  const isFault = isPageFault ?? facts.walk !== undefined;
  if (!isFault)
    return facts.vector === undefined && facts.kind === undefined ? ['the line that says what happened'] : [];
  if (facts.vector === undefined)
    lost.push('the line that names the exception: that it is a page fault follows only from the walk');
  if (errorCode === undefined)
    lost.push('the error code: whether a translation was present, and what was forbidden, is open');
  if (address === undefined) lost.push('the line with the faulting address');
  if (walk === undefined) lost.push('the page-table walk: what memory says of the address is open');
  else if (walk.missing.length > 0)
    lost.push(
      `${walk.missing.length > 1 ? 'lines' : 'the line'} ${walk.missing.map((level) => `L${level}`).join(', ')} of the walk: ` +
        'the rights at that level are open',
    );
  return lost;
}

function missingOfGuest(facts: Facts): readonly string[] {
  const lost: string[] = [];
  if (facts.crashCall === undefined)
    lost.push('the line "domain_crash… called from": whether a handler was missing is open');
  if (facts.domain === undefined) lost.push('the number of the domain');
  if (facts.vcpu === undefined) lost.push('the number of the vCPU');
  if (facts.cpu === undefined) lost.push('the number of the CPU');
  if (facts.version === undefined) lost.push("the banner with Xen's version");
  return lost;
}

function missingRegisters({
  registers = {},
  selectors,
  system,
  stackFrom,
  context,
  ripSymbol,
}: Facts): readonly string[] {
  const lost: string[] = [];
  if (registers.rip === undefined && ripSymbol === undefined)
    lost.push('the RIP line: which instruction it was is open');
  if (registers.rflags === undefined) lost.push('RFLAGS');
  if (system === 'xen-guest' && context === undefined)
    lost.push('the CONTEXT field: that it is a PV guest is inferred');
  const general = GENERAL.filter((name) => registers[name] === undefined);
  if (general.length === GENERAL.length) lost.push('all general registers');
  else if (general.length > 0) lost.push(`registers ${ranges(general)}`);
  if (system !== 'linux' && registers.cr3 === undefined && registers.cr2 === undefined) lost.push('control registers');
  if (selectors === undefined) lost.push('segment selectors: cs tells the mode');
  if (system !== 'linux' && stackFrom === undefined) lost.push('the stack');
  return lost;
}

/** "rbp, rsp, r8 to r15": runs of numbered registers are drawn together. */
function ranges(names: readonly WordRegister[]): string {
  const numbered = names.filter((name) => /^r\d/.test(name));
  const named = names.filter((name) => !/^r\d/.test(name));
  if (numbered.length < 3) return [...named, ...numbered].join(', ');
  const last = numbered.at(-1);
  const consecutive = Number(last?.slice(1)) - Number(numbered[0]?.slice(1)) === numbered.length - 1;
  return [...named, ...(consecutive ? [`${numbered[0]} to ${last}`] : numbered)].join(', ');
}

function missingCode({ facts, disassembly }: Case): readonly string[] {
  if (facts.code === undefined)
    return facts.system === 'xen-guest'
      ? ['code bytes (Xen prints none for a guest): disassemble the kernel at rip to see the instruction']
      : facts.registers?.rip === undefined
        ? []
        : ['the code bytes at rip'];
  if (disassembly?.lines.some(({ trapping }) => trapping)) return [];
  return ['in the listing, the line of the trapping instruction: no line is marked, or its bytes are not there'];
}
