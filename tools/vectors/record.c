// Executes single instructions on the processor it runs on and says what they did: the half of the vector recorder that has to
// be native. record.mjs and record-sse.mjs make the cases, run this, and write down what comes back.
//
// Each case sets all general registers, SSE and MMX registers and flags with TF, by returning from a signal to a context made up for it; the
// processor executes one instruction and traps (#DB), or faults, and the signal handler reads the context that it left.
// REP instructions trap after each iteration and are continued. Linux on x86-64 only; not for instructions that enter the kernel.
//
//   memory      50000000  code: one page, the instruction at +100, otherwise INT3
//               5f000000  16 MiB around the data that belong to nobody
//               60000000  two pages of data, 60002000 a page that is read-only
//   gs base     12340
//
// stdin: struct test[]; stdout: struct result[]. Little-endian, as they are in memory.

#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define CODE ((uint8_t *)0x50000000)
#define GUARD ((uint8_t *)0x5f000000)
#define GUARD_BYTES 0x2000000
#define DATA ((uint8_t *)0x60000000)
#define WRITABLE_BYTES 0x2000
#define DATA_BYTES 0x3000
#define PAGE 0x1000
#define INSTRUCTION_OFFSET 0x100
#define GS_BASE 0x12340
#define MOST_STEPS 64
#define TF 0x100

struct test {
  uint8_t bytes[16];
  uint64_t gpr[16];
  uint64_t rflags;
  uint32_t memory_offset; // of `memory` in DATA
  uint32_t memory_length;
  uint8_t memory[64];
  uint32_t mxcsr;
  uint16_t x87_control;
  uint16_t x87_status;
  uint64_t mm[8];
  uint8_t xmm[16][16];
};

struct result {
  uint64_t gpr[16];
  uint64_t rip;
  uint64_t rflags;
  uint64_t cr2;
  uint32_t vector;
  uint32_t error_code;
  uint32_t steps;
  uint32_t changed_offset; // of `changed` in DATA: from the first byte that differs to the last
  uint32_t changed_length;
  uint32_t padding;
  uint8_t changed[320];
  uint32_t mxcsr;
  uint16_t x87_status;
  uint16_t x87_tags;
  struct x87_register {
    uint64_t significand;
    uint64_t exponent; // and sign
  } mm[8];
  uint8_t xmm[16][16];
};

// The legacy part of what XSAVE saves, which a signal's context begins with; and behind it which parts are in use.
struct floating {
  uint16_t control, status, tags, opcode;
  uint64_t instruction, operand;
  uint32_t mxcsr, mxcsr_mask;
  struct x87_register st[8];
  uint8_t xmm[16][16];
  uint8_t rest[96];
  uint64_t parts;
};
#define FLOATING_BYTES 512
#define X87_AND_SSE 3

// In the order of encoding numbers.
static const int REGISTERS[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static struct test test;
static struct result result;
static uint8_t pattern[DATA_BYTES];
static ucontext_t home;
static struct floating home_floating;
static volatile int finished;

static void copy(void *to, const void *from, size_t bytes) {
  uint8_t *t = to;
  const uint8_t *f = from;
  while (bytes--) *t++ = *f++;
}

// No library calls here: the code under test may have changed what they rely on.
static void on_stop(int signal, siginfo_t *info, void *opaque) {
  (void)signal;
  (void)info;
  greg_t *g = ((ucontext_t *)opaque)->uc_mcontext.gregs;
  const uint64_t start = (uint64_t)CODE + INSTRUCTION_OFFSET;
  result.steps++;
  if (g[REG_TRAPNO] == 1 && (uint64_t)g[REG_RIP] == start && result.steps < MOST_STEPS) {
    g[REG_EFL] |= TF;
    return;
  }
  for (int i = 0; i < 16; i++) result.gpr[i] = g[REGISTERS[i]];
  result.rip = g[REG_RIP];
  result.rflags = g[REG_EFL];
  result.cr2 = g[REG_CR2];
  result.vector = g[REG_TRAPNO];
  result.error_code = g[REG_ERR];
  struct floating *f = (struct floating *)((ucontext_t *)opaque)->uc_mcontext.fpregs;
  result.mxcsr = f->mxcsr;
  result.x87_status = f->status;
  result.x87_tags = f->tags;
  for (int i = 0; i < 8; i++) result.mm[((f->status >> 11) + i) & 7] = f->st[i];
  copy(result.xmm, f->xmm, sizeof result.xmm);
  copy(f, &home_floating, FLOATING_BYTES);
  finished = 1;
  for (int i = 0; i < 23; i++)
    if (i != REG_CSGSFS) g[i] = home.uc_mcontext.gregs[i];
}

static void on_start(int signal, siginfo_t *info, void *opaque) {
  (void)signal;
  (void)info;
  greg_t *g = ((ucontext_t *)opaque)->uc_mcontext.gregs;
  for (int i = 0; i < 23; i++) home.uc_mcontext.gregs[i] = g[i];
  for (int i = 0; i < 16; i++) g[REGISTERS[i]] = test.gpr[i];
  struct floating *f = (struct floating *)((ucontext_t *)opaque)->uc_mcontext.fpregs;
  copy(&home_floating, f, FLOATING_BYTES);
  f->parts |= X87_AND_SSE;
  f->mxcsr = test.mxcsr;
  f->control = test.x87_control;
  f->status = test.x87_status;
  f->tags = 0;
  for (int i = 0; i < 8; i++) f->st[i] = (struct x87_register){test.mm[((test.x87_status >> 11) + i) & 7], 0x1234};
  copy(f->xmm, test.xmm, sizeof test.xmm);
  g[REG_RIP] = (uint64_t)CODE + INSTRUCTION_OFFSET;
  g[REG_EFL] = test.rflags | TF;
}

static void handle(int signal, void (*handler)(int, siginfo_t *, void *)) {
  struct sigaction action = {0};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  if (sigaction(signal, &action, NULL) != 0) abort();
}

static void *map(void *where, size_t bytes, int rights) {
  void *got = mmap(where, bytes, rights, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);
  if (got != where) {
    perror("record: mmap");
    exit(1);
  }
  return got;
}

int main(void) {
  stack_t stack = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
  if (sigaltstack(&stack, NULL) != 0) abort();
  handle(SIGUSR1, on_start);
  const int stops[] = {SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS};
  for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) handle(stops[i], on_stop);
  map(CODE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
  map(GUARD, GUARD_BYTES, PROT_NONE);
  if (mprotect(DATA, DATA_BYTES, PROT_READ | PROT_WRITE) != 0) abort();
  for (int i = 0; i < DATA_BYTES; i++) pattern[i] = i * 0x9d + (i >> 8) * 0x3b + 0x47;
  copy(DATA, pattern, DATA_BYTES);
  if (mprotect(DATA + WRITABLE_BYTES, DATA_BYTES - WRITABLE_BYTES, PROT_READ) != 0) abort();
  if (syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE) != 0) abort();

  for (unsigned number = 0; fread(&test, sizeof test, 1, stdin) == 1; number++) {
    memset(CODE, 0xcc, PAGE);
    copy(CODE + INSTRUCTION_OFFSET, test.bytes, sizeof test.bytes);
    copy(DATA, pattern, WRITABLE_BYTES);
    copy(DATA + test.memory_offset, test.memory, test.memory_length);
    memset(&result, 0, sizeof result);
    finished = 0;
    raise(SIGUSR1);
    if (!finished) {
      fprintf(stderr, "case %u never stopped\n", number);
      return 1;
    }
    int first = -1, last = -1;
    for (int i = 0; i < WRITABLE_BYTES; i++) {
      const uint32_t at = (uint32_t)i - test.memory_offset;
      const uint8_t before = at < test.memory_length ? test.memory[at] : pattern[i];
      if (DATA[i] == before) continue;
      if (first < 0) first = i;
      last = i;
    }
    if (first >= 0) {
      result.changed_offset = first;
      result.changed_length = last - first + 1;
      if (result.changed_length > sizeof result.changed) {
        fprintf(stderr, "case %u changed %u bytes\n", number, result.changed_length);
        return 1;
      }
      copy(result.changed, DATA + first, result.changed_length);
    }
    if (fwrite(&result, sizeof result, 1, stdout) != 1) abort();
  }
  return 0;
}
