// Where execution goes, and what leaves the guest: jumps, calls, returns, system calls, far transfers, segments.
import { describe, expect, test } from 'vitest';
import { CS, FS, GS, SS } from '../../src/abi/registers.js';
import { CODE, exitText, prepare, run, storyMachine, tell } from './story.js';

describe('near control flow', () => {
  test.each([
    ['a jump to the same page', 'jmp 0x10100', '', 1, 'rip=10100'],
    ['a jump to another page', 'jmp 0x11100', '', 1, 'rip=11100'],
    ['through a register', 'jmp rax', 'rax=11123', 1, 'rip=11123'],
    ['through memory', 'jmp [rbx]', 'rbx=20000 [20000]=11008', 1, 'rip=11008'],
    ['a condition that holds', 'je 0x10100', 'rflags=242', 1, 'rip=10100'],
    ['one that does not', 'je 0x10100', 'rflags=202', 1, ''],
    ['a call pushes where it returns to', 'call 0x11100; nop', 'rsp=20010', 1, 'rsp=20008 rip=11100'],
    ['a call through a register', 'call rax', 'rsp=20010 rax=11100', 1, 'rsp=20008 rip=11100'],
    [
      'a call through the stack reads before it pushes',
      'call [rsp]',
      'rsp=20010 [20010]=11100',
      1,
      'rsp=20008 rip=11100',
    ],
    ['a return', 'ret', 'rsp=20000 [20000]=11100', 1, 'rsp=20008 rip=11100'],
    ['a return that pops arguments', 'ret 0x20', 'rsp=20000 [20000]=11100', 1, 'rsp=20028 rip=11100'],
    ['LOOP', 'loop 0x10040', 'rcx=2', 1, 'rcx=1 rip=10040'],
    ['LOOP to the end', 'loop 0x10040', 'rcx=1', 1, 'rcx=0'],
    ['LOOPE without ZF', 'loope 0x10040', 'rcx=5 rflags=202', 1, 'rcx=4'],
    ['LOOPNE without ZF', 'loopne 0x10040', 'rcx=5 rflags=202', 1, 'rcx=4 rip=10040'],
    ['JRCXZ', 'jrcxz 0x10040', 'rcx=0', 1, 'rip=10040'],
    ['JECXZ looks at half', 'jecxz 0x10040', 'rcx=100000000', 1, 'rip=10040'],
  ])('%s: %s', (_what, code, before, steps, expected) => {
    expect(tell(code, before, { steps })).toBe(expected);
  });

  test('from the last byte of one page to the first of the next', () => {
    const machine = storyMachine();
    machine.load(0x10fffn, Uint8Array.of(0x90, 0x90, 0x0f, 0x05));
    machine.vcpu.rip = 0x10fffn;
    expect(machine.run(10).reason).toBe('syscall');
    expect(machine.vcpu.rip).toBe(0x11003n);
  });

  test('into the middle of an instruction', () => {
    const machine = storyMachine();
    // 10000: mov eax, 0x050f9090, whose immediate is nop; nop; syscall.
    machine.load(CODE, Uint8Array.of(0xb8, 0x90, 0x90, 0x0f, 0x05, 0xeb, 0xfa));
    machine.vcpu.rip = CODE;
    expect(machine.run(10).reason).toBe('syscall');
    expect(machine.vcpu.rip).toBe(CODE + 5n);
    expect(machine.engine.retired).toBe(5);
  });

  test('a long run of code without a branch', () => {
    const machine = storyMachine();
    machine.load(CODE, `${'inc rax\n'.repeat(700)}syscall`);
    machine.vcpu.rip = CODE;
    expect(machine.run(10_000).reason).toBe('syscall');
    expect(machine.vcpu.readGpr(0)).toBe(700n);
    expect(machine.engine.retired).toBe(701);
  });
});

describe('system calls', () => {
  test('leave rip in rcx and rflags in r11, and end the run behind themselves', () => {
    const { text, machine } = run('syscall', 'rflags=a87 rcx=1 r11=1', { steps: 5 });
    expect(text).toBe('syscall rcx=10002 r11=a87');
    expect(machine.engine.retired).toBe(1);
  });

  test('the run goes on behind them', () => {
    const machine = storyMachine();
    machine.load(CODE, 'next: syscall\ninc rax\njmp next');
    machine.vcpu.rip = CODE;
    for (let call = 0; call < 5; call++) expect(machine.run(100).reason).toBe('syscall');
    expect(machine.vcpu.readGpr(0)).toBe(4n);
    expect(machine.engine.retired).toBe(13);
  });
});

const CODE_64 = 0x00af_fb00_0000_ffffn;
const DATA_32 = 0x00cf_f300_0000_ffffn;
/** A GDT by selector: what Xen has at its own, and some that must be refused. */
const DESCRIPTORS: Readonly<Record<number, bigint>> = {
  57392: CODE_64,
  57384: DATA_32,
  57376: 0x00cf_fb00_0000_ffffn, // 32-bit code
  16: CODE_64 & ~(3n << 45n), // for CPL 0
  32: 0x12cf_f334_5678_ffffn, // data with a base
  40: DATA_32 & ~(1n << 47n), // not present
  48: DATA_32 & ~(1n << 41n), // read-only
  56: CODE_64 & ~(1n << 41n), // execute-only
  64: (CODE_64 & ~(3n << 45n)) | (1n << 42n), // conforming code of CPL 0
  72: 0x0000_8b00_1000_0067n, // a TSS
  80: 0x0000_ec00_0000_0000n, // a call gate
};
const withGdt = () => storyMachine({ host: { readDescriptor: (selector) => DESCRIPTORS[selector & 0xfffc & ~4] } });

describe('far transfers at the same privilege', () => {
  const FRAME = 'rsp=20000 [20000]=11100 [20008]=e033 [20010]=602 [20018]=21000 [20020]=e02b';

  test('IRETQ loads rip, flags, rsp and the selectors; IF and IOPL stay', () => {
    const machine = withGdt();
    expect(tell('iretq', `${FRAME} [20010]=3cd7`, { machine, steps: 1 })).toBe('rsp=21000 rip=11100');
    expect(machine.vcpu.rflags.toString(16)).toBe('ed7');
    expect([machine.vcpu.readSelector(CS), machine.vcpu.readSelector(SS)]).toEqual([0xe033, 0xe02b]);
  });

  test.each([
    ['to CPL 0', 'iretq', `${FRAME} [20008]=e030`, '#GP(e030)'],
    ['to 32-bit code', 'iretq', `${FRAME} [20008]=e023`, '#GP(e020)'],
    ['to a null selector', 'iretq', `${FRAME} [20008]=3`, '#GP(0)'],
    ['to a data segment', 'iretq', `${FRAME} [20008]=e02b`, '#GP(e028)'],
    ['with a null stack', 'iretq', `${FRAME} [20020]=0`, '#GP(0)'],
    ['with a stack of another level', 'iretq', `${FRAME} [20020]=e028`, '#GP(e028)'],
    ['with a stack that is not present', 'iretq', `${FRAME} [20020]=2b`, '#SS(28)'],
    ['to an address that is not canonical', 'iretq', `${FRAME} [20000]=900000000000`, '#GP(0)'],
    ['with NT', 'iretq', `${FRAME} rflags=4202`, '#GP(0)'],
    ['from a stack that is not there', 'iretq', 'rsp=22ff8', '#PF(4) at 23000'],
    ['RETF beyond the GDT', 'db 48 cb', 'rsp=20000 [20000]=11100 [20008]=f3', '#GP(f0)'],
    ['a far jump through a gate', 'db 48 ff 2b', 'rbx=20000 [20000]=11100 [20008]=50', '#GP(50)'],
  ])('refused: %s', (_what, code, before, expected) => {
    expect(tell(code, before, { machine: withGdt(), steps: 1 })).toBe(`${expected} rip=10000`);
  });

  test.each([
    ['db 48 cb', 'rsp=20000 [20000]=11100 [20008]=e033', 'rsp=20010 rip=11100'],
    ['db 48 ca 08 00', 'rsp=20000 [20000]=11100 [20008]=e033', 'rsp=20018 rip=11100'],
    ['db 48 ff 2b', 'rbx=20000 [20000]=11100 [20008]=e033', 'rip=11100'],
    ['db 48 ff 1b', 'rbx=20000 [20000]=11100 [20008]=e033 rsp=20100', 'rsp=200f0 rip=11100'],
    ['db 48 ff 2b', 'rbx=20000 [20000]=11100 [20008]=43', 'rip=11100'],
  ])('%s', (code, before, expected) => {
    expect(tell(code, before, { machine: withGdt(), steps: 1 })).toBe(expected);
  });
});

describe('segments', () => {
  test('a selector is read, and a null one loaded', () => {
    const machine = withGdt();
    machine.vcpu.writeSelector(GS, 0x1234);
    machine.vcpu.writeSegmentBase(GS, 0x5000n);
    expect(tell('mov eax, gs', '', { machine })).toBe('rax=1234');
    expect(tell('mov gs, cx', '', { machine })).toBe('');
    expect(machine.vcpu.readSelector(GS)).toBe(0);
    expect(machine.vcpu.readSegmentBase(GS)).toBe(0n);
  });

  test('a descriptor gives FS and GS their base', () => {
    const machine = withGdt();
    expect(tell('mov fs, cx', 'rcx=23', { machine })).toBe('');
    expect(machine.vcpu.readSegmentBase(FS)).toBe(0x1234_5678n);
    expect(tell('push fs; pop gs', 'rsp=20010', { machine })).toBe('');
    expect(machine.vcpu.readSegmentBase(GS)).toBe(0x1234_5678n);
  });

  test.each([
    ['mov fs, cx', 'rcx=2b', '#NP(28)'],
    ['mov ss, cx', 'rcx=0', '#GP(0)'],
    ['mov ss, cx', 'rcx=33', '#GP(30)'],
    ['mov ds, cx', 'rcx=3b', '#GP(38)'],
    ['mov ds, cx', 'rcx=13', '#GP(10)'],
    ['mov es, cx', 'rcx=fff0', '#GP(fff0)'],
    ['lfs rax, [rbx]', 'rbx=20000 [20000]=7 [20008]=fff3', '#GP(fff0)'],
  ])('%s with %s', (code, before, expected) => {
    expect(tell(code, before, { machine: withGdt() })).toBe(`${expected} rip=10000`);
  });

  test('LFS loads a selector and its offset', () => {
    const machine = withGdt();
    expect(tell('lfs rax, [rbx]', 'rbx=20000 [20000]=7 [20008]=23', { machine })).toBe('rax=7');
    expect(machine.vcpu.readSelector(FS)).toBe(0x23);
  });

  test.each([
    ['lar eax, cx', 'rcx=e033', 'rax=affb00 zf'],
    ['lar eax, cx', 'rcx=13', ''],
    ['lar eax, cx', 'rcx=43', 'rax=af9f00 zf'],
    ['lar eax, cx', 'rcx=4b', ''],
    ['lsl eax, cx', 'rcx=e02b', 'rax=ffffffff zf'],
    ['lsl eax, cx', 'rcx=53', ''],
    ['verr cx', 'rcx=33', 'zf'],
    ['verr cx', 'rcx=3b', ''],
    ['verw cx', 'rcx=33', ''],
    ['verw cx', 'rcx=e02b', 'zf'],
    ['verw cx', 'rcx=e033', ''],
    ['verr cx', 'rcx=0', ''],
  ])('%s with %s', (code, before, expected) => {
    const machine = withGdt();
    const told = tell(code, `${before} rflags=202`, { machine });
    const zero = (machine.vcpu.rflags & 0x40n) !== 0n ? 'zf' : '';
    expect([told, zero].filter(Boolean).join(' ')).toBe(expected);
  });
});

describe('what the platform answers', () => {
  test.each([
    ['cpuid', 'rax=7 rcx=ffffffff00000003', 'rax=8 rcx=c0c0c0c0 rdx=d0d0d0d0 rbx=5'],
    ['rdtsc', 'rax=0', 'rax=9abcdef0 rdx=12345678'],
    ['rdtscp', 'rax=0', 'rax=9abcdef0 rcx=7 rdx=12345678'],
    ['xgetbv', 'rcx=0 rdx=9', 'rax=7 rdx=0'],
    ['sldt eax', 'rax=9', 'rax=0'],
    ['str eax', '', 'rax=e040'],
    ['smsw rax', '', 'rax=3b'],
  ])('%s', (code, before, expected) => {
    expect(tell(code, before).split(' ').sort()).toEqual(expected.split(' ').sort());
  });

  test('SGDT stores limit and base, both or neither', () => {
    const { machine } = run('sgdt [rbx]', 'rbx=20ffa');
    expect(machine.peek64(0x20ffcn)).toBe(0xffff_8300_0000_1000n);
    expect(Number(machine.peek64(0x20ffan) & 0xffffn)).toBe(0xefff);
    const before = machine.peek(0x21ff0n, 16);
    expect(tell('sgdt [rbx]', 'rbx=21ffa', { machine })).toBe('#PF(7) at 22000 rip=10000');
    expect(machine.peek(0x21ff0n, 16)).toEqual(before);
  });
});

describe('flags as an image', () => {
  test.each([
    ['pushfq; pop rax', 'rsp=20010 rflags=cd7', 'rax=cd7'],
    ['pushfq; pop rax', 'rsp=20010 rflags=240286', 'rax=240286'],
    ['push rcx; popfq; pushfq; pop rax', 'rsp=20010 rcx=ffffffffffffbeff rflags=202', 'rax=240ed7'],
  ])('%s', (code, before, expected) => {
    expect(tell(code, before)).toBe(expected);
  });
});

describe('several vCPUs', () => {
  test('have registers of their own, and share memory', () => {
    const machine = storyMachine();
    const other = machine.addVcpu();
    machine.load(
      CODE,
      `
    next:
      lock inc qword [0x20000]
      inc rax
      jmp next
    `,
    );
    machine.vcpu.rip = CODE;
    other.rip = CODE;
    other.writeGpr(0, 1000n);
    for (let turn = 0; turn < 10; turn++) {
      machine.run(3);
      expect(machine.run(6, other)).toEqual({ reason: 'budget' });
      expect(machine.vcpu.readGpr(0)).toBe(BigInt(turn + 1));
      expect(other.readGpr(0)).toBe(BigInt(1000 + 2 * (turn + 1)));
    }
    expect(machine.peek64(0x20000n)).toBe(30n);
    expect(machine.engine.retired).toBe(90);
  });

  test('registers can be read and written whether a vCPU runs or not', () => {
    const machine = storyMachine();
    const other = machine.addVcpu();
    other.rflags = 0x8d7n;
    other.writeSelector(SS, 0xe02b);
    other.writeSegmentBase(FS, 0xffff_8888_0000_0000n);
    const seen = (): unknown[] => [other.rflags, other.readSelector(SS), other.readSegmentBase(FS)];
    const before = seen();
    machine.load(CODE, 'stc\nclc');
    other.rip = CODE;
    machine.run(0, other);
    expect(seen()).toEqual(before);
    machine.run(0);
    expect(seen()).toEqual(before);
    expect(before).toEqual([0x8d7n, 0xe02b, 0xffff_8888_0000_0000n]);
  });

  test('a translation of one is no translation of the other', () => {
    const machine = storyMachine();
    const other = machine.addVcpu();
    prepare(machine, '[20000]=11 rip=10000');
    machine.load(CODE, 'mov rax, [0x20000]\nmov rax, [0x20000]');
    machine.run(1);
    machine.unmap(0x20000n);
    // The first still holds the page; the second has to walk.
    other.rip = CODE;
    expect(exitText(machine.run(1, other))).toBe('#PF(4) at 20000');
    expect(exitText(machine.run(1))).toBe('');
    expect(machine.vcpu.readGpr(0)).toBe(0x11n);
  });
});
