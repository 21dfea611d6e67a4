// Faults are precise: the right vector, error code and address, rip at the instruction, and nothing else changed.
import { describe, expect, test } from 'vitest';
import { mfn } from '../../src/base/addresses.js';
import { CODE, prepare, run, storyMachine, tell } from './story.js';

describe('page faults', () => {
  test.each([
    ['reading where nothing is', 'mov rax, [rbx]', 'rbx=23010', '#PF(4) at 23010'],
    ['writing where nothing is', 'mov [rbx], al', 'rbx=23010', '#PF(6) at 23010'],
    ['writing what is read-only', 'mov [rbx], rax', 'rbx=22ff8', '#PF(7) at 22ff8'],
    ["reading the supervisor's", 'mov al, [rbx]', 'rbx=24000', '#PF(5) at 24000'],
    ['modifying counts as writing', 'add [rbx], rax', 'rbx=22000 rax=1', '#PF(7) at 22000'],
    ['CMPXCHG writes in any case', 'cmpxchg [rbx], rcx', 'rbx=22000 rax=123', '#PF(7) at 22000'],
    ['NOT', 'not dword [rbx]', 'rbx=22000', '#PF(7) at 22000'],
    ['XCHG reads and writes', 'xchg [rbx], rax', 'rbx=23000', '#PF(6) at 23000'],
    ['SETcc', 'sete [rbx]', 'rbx=23fff', '#PF(6) at 23fff'],
    ['PUSH leaves rsp', 'push rax', 'rsp=23008', '#PF(6) at 23000'],
    ['PUSH from memory that is not there', 'push qword [rbx]', 'rsp=21000 rbx=23000', '#PF(4) at 23000'],
    ['POP to memory that is not there leaves rsp', 'pop qword [rbx]', 'rsp=20000 rbx=23000', '#PF(6) at 23000'],
    ['CALL whose stack is not there', 'call 0x10500', 'rsp=23008', '#PF(6) at 23000'],
    ['RET whose stack is not there', 'ret', 'rsp=23000', '#PF(4) at 23000'],
    ['LEAVE leaves rsp and rbp', 'leave', 'rbp=23000 rsp=5', '#PF(4) at 23000'],
    ['ENTER whose new top is not there', 'enter 0x1008, 0', 'rsp=25008 rbp=7', '#PF(6) at 23ff8'],
    ['DIV reads before it divides', 'div qword [rbx]', 'rbx=23000 rdx=1', '#PF(4) at 23000'],
    ['MOVS reads first', 'movsb', 'rsi=23000 rdi=23800', '#PF(4) at 23000'],
    ['MOVS then writes', 'movsq', 'rsi=20000 rdi=22000', '#PF(7) at 22000'],
    ['CMPXCHG16B', 'cmpxchg16b [rbx]', 'rbx=22010', '#PF(7) at 22010'],
    ['through GS', 'mov eax, gs:[rbx]', 'rbx=10 gsbase=23000', '#PF(4) at 23010'],
    ['BT with a far bit', 'bt [rbx], rax', 'rbx=21000 rax=10000', '#PF(4) at 23000'],
  ])('%s: %s', (_what, code, before, expected) => {
    const { text, machine } = run(code, before);
    expect(text).toBe(`${expected} rip=10000`);
    expect(machine.engine.retired).toBe(0);
  });

  test.each([
    ['a comparison does not write', 'cmp [rbx], rax', 'rbx=22000'],
    ['TEST does not either', 'test byte [rbx], 1', 'rbx=22fff'],
    ['LEA does not access', 'lea rax, [rbx]', 'rbx=0'],
    ['a prefetch does not fault', 'prefetcht0 [rbx]', 'rbx=23000'],
    ['CMOVcc that does nothing still reads', 'cmove rax, [rbx]', 'rbx=22000 rflags=202'],
  ])('no fault: %s', (_what, code, before) => {
    expect(tell(code, before)).not.toContain('#');
  });

  test.each([
    ['a read into nothing', 'mov rax, [rbx]', 'rbx=22ffc', '#PF(4) at 23000'],
    ['a read out of nothing', 'mov rax, [rbx]', 'rbx=23ffc', '#PF(4) at 23ffc'],
    ['a write from read-only into nothing', 'mov [rbx], rax', 'rbx=22ffd', '#PF(7) at 22ffd'],
    ['a write into read-only', 'mov [rbx], rax', 'rbx=21ffd', '#PF(7) at 22000'],
    ['a modification into read-only', 'inc dword [rbx]', 'rbx=21ffe', '#PF(7) at 22000'],
    ['a push into nothing', 'push rbx', 'rsp=24004', '#PF(6) at 23ffc'],
  ])('across a page: %s', (_what, code, before, expected) => {
    const machine = storyMachine();
    const memory = machine.peek(0x21ff0n, 16);
    expect(tell(code, before, { machine })).toBe(`${expected} rip=10000`);
    expect(machine.peek(0x21ff0n, 16)).toEqual(memory);
  });

  test('a fault is gone once the page is there', () => {
    const machine = storyMachine();
    expect(tell('mov rax, [rbx]', 'rbx=23000', { machine })).toContain('#PF(4)');
    machine.map(0x23000n);
    machine.poke64(0x23000n, 77n);
    machine.run(1);
    expect(machine.vcpu.readGpr(0)).toBe(77n);
  });
});

describe('accesses across a page', () => {
  test.each([
    ['mov rax, [rbx]', 'rbx=20ffb [20ff8]=8877665544332211 [21000]=ffeeddccbbaa9988', 'rax=aa99888877665544'],
    ['movzx eax, word [rbx]', 'rbx=20fff [20ff8]=8877665544332211 [21000]=ffeeddccbbaa9988', 'rax=8888'],
    ['movsx rax, word [rbx]', 'rbx=20fff [20ff8]=8877665544332211 [21000]=99', 'rax=ffffffffffff9988'],
  ])('%s', (code, before, expected) => {
    expect(tell(code, before)).toBe(expected);
  });

  test('a write, a modification and a push put every byte where it belongs', () => {
    const machine = storyMachine();
    prepare(machine, '[20ff8]=0 [21000]=0');
    run('mov [rbx], rax', 'rbx=20ffd rax=8877665544332211', { machine });
    expect(machine.peek64(0x20ff8n).toString(16)).toBe('3322110000000000');
    expect(machine.peek64(0x21000n).toString(16)).toBe('8877665544');
    run('add [rbx], rax', 'rbx=20ffe rax=1111111111111111', { machine });
    expect(machine.peek64(0x20ff8n).toString(16)).toBe('4433110000000000');
    expect(machine.peek64(0x21000n).toString(16)).toBe('119988776655');
    run('push rax', 'rsp=21004 rax=123456789abcdef0', { machine });
    expect(machine.peek64(0x20ff8n).toString(16)).toBe('9abcdef000000000');
    expect(machine.peek64(0x21000n).toString(16)).toBe('119912345678');
  });
});

describe('addresses that are not canonical', () => {
  test.each([
    ['data', 'mov rax, [rbx]', 'rbx=800000000000', '#GP(0)'],
    ['data, the other side', 'mov [rbx], rax', 'rbx=ffff7fffffffffff', '#GP(0)'],
    ['the last byte counts', 'mov rax, [rbx]', 'rbx=7ffffffffffc', '#GP(0)'],
    ['the stack', 'push rax', 'rsp=8000000000000000', '#SS(0)'],
    ["a base of rbp is the stack's", 'mov rax, [rbp]', 'rbp=8000000000000000', '#SS(0)'],
    ['a base of rsp', 'mov rax, [rsp+rbx]', 'rsp=8000000000000000', '#SS(0)'],
    ['an index of rbp is not', 'mov rax, [rbx+rbp*2]', 'rbp=4000000000000000', '#GP(0)'],
    ['RET to one', 'ret', 'rsp=20000 [20000]=800000000000', '#GP(0)'],
    ['JMP to one', 'jmp rax', 'rax=800000000000', '#GP(0)'],
    ['CALL to one', 'call rax', 'rax=800000000000 rsp=20010', '#GP(0)'],
  ])('%s: %s', (_what, code, before, expected) => {
    expect(tell(code, before)).toBe(`${expected} rip=10000`);
  });

  test('running off the end of the lower half', () => {
    const machine = storyMachine();
    machine.map(0x7fff_ffff_f000n);
    machine.load(0x7fff_ffff_ffffn, Uint8Array.of(0x90));
    machine.vcpu.rip = 0x7fff_ffff_ffffn;
    expect(machine.run(5)).toEqual({ reason: 'exception', exception: { vector: 13, errorCode: 0 } });
    expect(machine.vcpu.rip).toBe(0x8000_0000_0000n);
    expect(machine.engine.retired).toBe(1);
  });
});

test('a frame that is no RAM reads as ones, swallows writes, and holds no instruction', () => {
  const machine = storyMachine();
  machine.map(0x26000n, { frame: mfn(0x9999) });
  expect(tell('mov rax, [rbx]', 'rbx=26008', { machine })).toBe('rax=ffffffffffffffff');
  expect(tell('add [rbx], rax; mov rcx, [rbx]', 'rbx=26008 rax=1', { machine })).toBe('rcx=ffffffffffffffff');
  // Half in RAM: the page before it.
  expect(tell('mov rax, [rbx]', 'rbx=25ffc [25ff8]=1122334400000000', { machine })).toBe('rax=ffffffff11223344');
  expect(tell('jmp rbx', 'rbx=26000', { machine, steps: 9 })).toBe('#UD rip=26000');
});

describe('other faults', () => {
  test.each([
    ['div ecx', 'rax=5', '#DE'],
    ['div cl', 'rax=1000 rcx=1', '#DE'],
    ['idiv rcx', 'rax=8000000000000000 rdx=ffffffffffffffff rcx=ffffffffffffffff', '#DE'],
    ['idiv ecx', 'rax=80000000 rdx=ffffffff rcx=ffffffff', '#DE'],
    ['div rcx', 'rax=5 rdx=7 rcx=7', '#DE'],
    ['ud2', '', '#UD'],
    ['hlt', '', '#GP(0)'],
    ['cli', '', '#GP(0)'],
    ['in al, 0x64', '', '#GP(0)'],
    ['invlpg [rbx]', 'rbx=800000000000', '#GP(0)'],
    ['mov rax, cr3', '', '#GP(0)'],
    ['wrmsr', '', '#GP(0)'],
    ['int 0x20', '', '#GP(102)'],
    ['int 1', '', '#GP(a)'],
    ['cmpxchg16b [rbx]', 'rbx=20008', '#GP(0)'],
    ['xgetbv', 'rcx=5', '#GP(0)'],
    ['sysenter', '', '#UD'],
  ])('%s', (code, before, expected) => {
    expect(tell(code, before)).toBe(`${expected} rip=10000`);
  });

  test.each([
    ['int3', '#BP software'],
    ['int 3', '#BP software'],
    ['int 4', '#4 software'],
    ['int 0x80', '#128 software'],
    ['int1', '#DB'],
  ])('%s traps behind itself', (code, expected) => {
    const { text, machine } = run(code);
    expect(text).toBe(expected);
    expect(machine.engine.retired).toBe(1);
  });

  test.each([
    ['no opcode', [0x06], '#UD'],
    ['LOCK on a register', [0xf0, 0x01, 0xc0], '#UD'],
    ['15 bytes are an instruction', [...Array<number>(14).fill(0x2e), 0x90], ''],
    ['16 are not', [...Array<number>(15).fill(0x2e), 0x90], '#GP(0)'],
  ])('bytes: %s', (_what, bytes, expected) => {
    const machine = storyMachine();
    machine.load(CODE, Uint8Array.from(bytes));
    expect(tell('', '', { machine, steps: 1 }).replace(/ ?rip=.*/, '')).toBe(expected);
  });
});

describe('fetching', () => {
  test.each([
    ['from data', 'rax=20010', '#PF(15) at 20010'],
    ['from nothing', 'rax=23456', '#PF(14) at 23456'],
    ["from the supervisor's", 'rax=24000', '#PF(15) at 24000'],
  ])('%s faults at the target, after the jump', (_what, before, expected) => {
    const { text, machine } = run('jmp rax', before, { steps: 10 });
    expect(text).toBe(`${expected} rip=${before.slice(4)}`);
    expect(machine.engine.retired).toBe(1);
  });

  test('with the jump as the last instruction of the budget, nothing has faulted yet', () => {
    expect(tell('jmp rax', 'rax=23456', { steps: 1 })).toBe('rip=23456');
  });

  test('an instruction that goes on in the next page faults at that page', () => {
    const machine = storyMachine();
    machine.poke(0x11ffdn, Uint8Array.of(0xb8, 0x78, 0x56));
    machine.vcpu.rip = 0x11ffdn;
    expect(machine.run(9)).toEqual({
      reason: 'exception',
      exception: { vector: 14, errorCode: 0x14, vaddr: 0x12000n },
    });
    expect(machine.vcpu.rip).toBe(0x11ffdn);
    expect(machine.engine.retired).toBe(0);
    machine.map(0x12000n);
    machine.load(0x11ffdn, 'mov eax, 0x12345678; mov ebx, eax'.replace(';', '\n'));
    expect(machine.run(2)).toEqual({ reason: 'budget' });
    expect(machine.vcpu.readGpr(3)).toBe(0x12345678n);
    expect(machine.vcpu.rip).toBe(0x12004n);
  });
});
