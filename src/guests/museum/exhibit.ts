// What an exhibit of the museum is: a bug that was, its story, and a guest that has it. And the machines on which each is
// tried: few, but each answers a question of its own.

/**
 * What went wrong, by kind:
 * L rights were raised, and the old ones faulted · X another CPU was not told · T rights were lowered, or another frame mapped, and the old translation was
 * used · F a frame was used again while a stale translation led to it · S a page table was, by way of the paging-structure caches ·
 * B several changes were put off, or done in the wrong order · G global entries outlived a load of CR3 · Y a lazy scheme forgot
 * a flush · Z a size was taken for another · D an accessed or dirty bit was lost.
 */
export type BugClass = 'L' | 'X' | 'T' | 'F' | 'S' | 'B' | 'G' | 'Y' | 'Z' | 'D';

/** With the bug, and with it mended. */
export type Build = 'before' | 'after';

export const BUILDS: readonly Build[] = ['before', 'after'];

/** The machines that exhibits are tried on, in the words of the options; what each is there to show. */
export const BENCHES = {
  coherent: { tlb: 'coherent', refill: 'none', cpu: 'intel', flush: 'abi', shows: 'is it a TLB bug at all?' },
  today: { tlb: 'demand', refill: 'wrong-path', cpu: 'intel', flush: 'xen-4.17', shows: 'a real CPU and Xen of today' },
  'xen-4.1': { tlb: 'demand', refill: 'wrong-path', cpu: 'intel', flush: 'xen-4.1', shows: 'and of 2011' },
  worst: { tlb: 'hoarding', refill: 'any', cpu: 'intel', flush: 'abi', shows: 'all that the rules allow' },
  amd: { tlb: 'hoarding', refill: 'any', cpu: 'amd', flush: 'abi', shows: 'a CPU that walks again for rights' },
  xpti: { tlb: 'hoarding', refill: 'any', cpu: 'intel', flush: 'xen-4.17,xpti', shows: 'each hypercall flushes' },
} as const;

export type BenchName = keyof typeof BENCHES;

export interface ExpectedFinding {
  /** How the stale translation differs from what memory says: "right-added". */
  readonly kind: string;
  /** What is wrong with the flushes that there are: "no-flush". */
  readonly mistake: string;
  readonly grade: string;
}

export interface Exhibit {
  /** For the command line: "mremap". */
  readonly name: string;
  readonly title: string;
  /** "2018", or "1996-1999". */
  readonly year: string;
  readonly system: string;
  readonly bugClass: BugClass;
  /** Commits, advisories, mails: where it can be read about. */
  readonly source: string;
  /** Its numbers in the catalogue from which the museum was built. */
  readonly catalogue: readonly number[];
  /** What happened, to whom, when; and what the guest does of it. */
  readonly story: string;
  /** What to see in the run of `before`, and why the benches differ. */
  readonly see: string;
  /** What `before` says when it sees what is wrong: "read the old frame". Without it, the crash is all there is. */
  readonly wrong?: string;
  /** What the sanitizer has to find in `before`, on every bench; in its words (src/sanitizer/finding.ts). */
  readonly finding: ExpectedFinding;
  /** `after` leaves the flush out and copes with what comes of it: what the sanitizer calls tolerated is no mistake there. */
  readonly copes?: true;
  /** The benches on which `before` goes wrong. On all others it is fine, and `after` is on every one. */
  readonly goesWrongOn: readonly BenchName[];
  /** The guest registers no page-fault handler: every fault is the end of it, as early in a boot. */
  readonly handlesNoFaults?: true;
  /** The guest has programs (programs.ts). */
  readonly runsPrograms?: true;
  /** What the second vCPU does; the two take turns by `pass` (steps.ts), and the first begins. */
  second?(build: Build): string;
  /** The guest, in assembly (steps.ts); by its end all was well, or it has gone to `wrong`. */
  main(build: Build): string;
  /** Functions and variables that `main` needs beside those of the kernel. */
  readonly parts?: string;
}
