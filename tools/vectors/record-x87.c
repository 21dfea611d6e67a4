// Executes single x87 instructions on the processor it runs on and says what they did: the native half of record-x87.mjs.
//
// Each case loads the x87 with FXRSTOR, runs its instruction, and saves with FXSAVE, which raises nothing; where the
// instruction itself is refused (#MF), the state is the one that the signal's context shows. Linux on x86-64 only.
//
//   50000000  code: one page; the instruction at +100, memory operands are [rbx]
//   60000000  data: one page; rbx is 60000040
//
// stdin: struct test[]; stdout: struct result[]. Little-endian, as they are in memory.

#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define CODE ((uint8_t *)0x50000000)
#define DATA ((uint8_t *)0x60000000)
#define OPERAND_OFFSET 0x40
#define PAGE 0x1000
#define INSTRUCTION_OFFSET 0x100
#define MEMORY_BYTES 112

struct fxsave {
  uint16_t control, status;
  uint8_t tags, reserved;
  uint16_t opcode;
  uint64_t instruction_pointer, data_pointer;
  uint32_t mxcsr, mxcsr_mask;
  uint8_t st[8][16];
  uint8_t rest[352];
} __attribute__((aligned(16)));

struct test {
  uint8_t bytes[16];
  uint64_t rax;
  uint64_t rflags;
  uint16_t control, status, opcode;
  uint8_t tags, padding;
  uint64_t instruction_pointer, data_pointer;
  uint8_t st[8][16];
  uint8_t memory[MEMORY_BYTES];
};

struct result {
  uint64_t rax;
  uint64_t rflags;
  uint16_t control, status, opcode;
  uint8_t tags, vector;
  uint64_t instruction_pointer, data_pointer;
  uint8_t st[8][16];
  uint8_t memory[MEMORY_BYTES];
};

static struct test test;
static struct result result;
static struct fxsave before, after;
static sigjmp_buf home;

static void on_fault(int signal, siginfo_t *info, void *opaque) {
  (void)signal;
  (void)info;
  const ucontext_t *context = opaque;
  result.vector = context->uc_mcontext.gregs[REG_TRAPNO];
  memcpy(&after, context->uc_mcontext.fpregs, sizeof after);
  siglongjmp(home, 1);
}

static void *map(void *where) {
  void *got = mmap(where, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (got != where) {
    perror("record-x87: mmap");
    exit(1);
  }
  return got;
}

// Calls the instruction with its state; it ends in RET.
static void run(void) {
  uint64_t rax = test.rax, rflags = test.rflags;
  __asm__ volatile(
      "fninit\n"
      "fxrstor64 %[before]\n"
      "push %[rflags]\n"
      "popfq\n"
      "call *%[code]\n"
      "pushfq\n"
      "pop %[rflags]\n"
      "fxsave64 %[after]\n"
      "fninit\n"
      : [rax] "+a"(rax), [rflags] "+D"(rflags), [after] "=m"(after)
      : [before] "m"(before), [code] "S"(CODE + INSTRUCTION_OFFSET), "b"(DATA + OPERAND_OFFSET)
      : "memory", "cc", "rcx", "rdx", "r8", "r9", "r10", "r11");
  result.rax = rax;
  result.rflags = rflags;
}

int main(void) {
  struct sigaction action = {0};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  const int faults[] = {SIGFPE, SIGILL, SIGSEGV};
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
    if (sigaction(faults[i], &action, NULL) != 0) abort();
  map(CODE);
  map(DATA);
  while (fread(&test, sizeof test, 1, stdin) == 1) {
    memset(CODE, 0xcc, PAGE);
    memset(CODE + INSTRUCTION_OFFSET, 0x90, 16);
    memcpy(CODE + INSTRUCTION_OFFSET, test.bytes, sizeof test.bytes);
    CODE[INSTRUCTION_OFFSET + 16] = 0xc3;
    memset(DATA, 0, PAGE);
    memcpy(DATA + OPERAND_OFFSET, test.memory, MEMORY_BYTES);
    memset(&before, 0, sizeof before);
    memset(&after, 0, sizeof after);
    before.control = test.control;
    before.status = test.status;
    before.tags = test.tags;
    before.opcode = test.opcode;
    before.instruction_pointer = test.instruction_pointer;
    before.data_pointer = test.data_pointer;
    before.mxcsr = 0x1f80;
    memcpy(before.st, test.st, sizeof before.st);
    memset(&result, 0, sizeof result);
    result.rax = test.rax;
    result.rflags = test.rflags;
    if (sigsetjmp(home, 0) == 0) run();
    __asm__ volatile("fninit");
    result.control = after.control;
    result.status = after.status;
    result.tags = after.tags;
    result.opcode = after.opcode;
    result.instruction_pointer = after.instruction_pointer;
    result.data_pointer = after.data_pointer;
    memcpy(result.st, after.st, sizeof result.st);
    memcpy(result.memory, DATA + OPERAND_OFFSET, MEMORY_BYTES);
    if (fwrite(&result, sizeof result, 1, stdout) != 1) abort();
  }
  return 0;
}
