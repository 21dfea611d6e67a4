// What removes entries, row by row: SDM 3A "Paging > … > Operations that Invalidate TLBs and Paging-Structure Caches"
// (§4.10.4.1) with CR4.PCIDE = 0. Everything that may survive does: this CPU is the laziest that the rules allow.

import { describe, expect, test } from 'vitest';
import type { MmuEvent } from '../../src/mmu/index.js';
import { tell, World } from './story.js';

// Two pages of one L1 table, a global one in another, a large one, and one that is both large and global.
const PAGES = `
  set 1000 -> 50 RW US
  set 2000 -> 51 US
  set 400000 -> 52 RW US G
  set 200000 -> 400 2M RW US
  set 600000 -> 600 2M US G
  read 1000
  read 2000
  read 400000
  read 234000
  read 600000
`;
const A = '1000->50 RW US';
const B = '2000->51 US';
const LARGE = '200000->400 2M RW US';
const GLOBAL = '400000->52 RW US G';
const LARGE_GLOBAL = '600000->600 2M US G';
const ALL = `${A} | ${B} | ${LARGE} | ${GLOBAL} | ${LARGE_GLOBAL}`;
const PSC = 'L2 0 RW US | L2 400000 RW US | L3 0 RW US | L4 0 RW US';

describe.each(['demand', 'hoarding'])('--tlb %s', (tlb) => {
  test.each([
    // operation            TLB afterwards                                       PSCs afterwards
    ['nothing', '', ALL, PSC],
    ['INVLPG of a page', 'invlpg 1000', `${B} | ${LARGE} | ${GLOBAL} | ${LARGE_GLOBAL}`, ''],
    ['INVLPG of a page not held', 'invlpg 3000', ALL, ''],
    ['INVLPG of a global page', 'invlpg 400fff', `${A} | ${B} | ${LARGE} | ${LARGE_GLOBAL}`, ''],
    ['INVLPG anywhere in a large page', 'invlpg 3ff000', `${A} | ${B} | ${GLOBAL} | ${LARGE_GLOBAL}`, ''],
    ['INVLPG of a non-canonical address', 'invlpg 8000000001000', ALL, PSC],
    ['MOV CR3, same root (and INVPCID types 1 and 3)', 'cr3', `${GLOBAL} | ${LARGE_GLOBAL}`, ''],
    ['MOV CR3, another root', 'cr3 other', `${GLOBAL} | ${LARGE_GLOBAL}`, ''],
    ['MOV CR4 changing PGE (and INVPCID type 2)', 'flush', '', ''],
    // The L2 entry of the page goes, and those above it on its way; another page's stays.
    ['#PF for rights', 'write 2000 = #PF 7', `${A} | ${LARGE} | ${GLOBAL} | ${LARGE_GLOBAL}`, 'L2 400000 RW US'],
    ['#PF for a page not there', 'read 3000 = #PF 4', ALL, 'L2 400000 RW US'],
    [
      '#PF in a large global page',
      'write 601000 = #PF 7',
      `${A} | ${B} | ${LARGE} | ${GLOBAL}`,
      'L2 0 RW US | L2 400000 RW US',
    ],
  ])('%s', (_name, operation, left, psc) => {
    tell(`--tlb ${tlb}`, `${PAGES}\n${operation}\ntlb = ${left}\npsc = ${psc}`);
  });

  test('each vCPU has its own', () => {
    tell(`--tlb ${tlb}`, `${PAGES}\nvcpu 1\nread 1000\nflush\ntlb =\nvcpu 0\ntlb = ${ALL}`);
  });

  test('pages of both sizes at once: the small one answers, INVLPG drops both', () => {
    tell(
      `--tlb ${tlb}`,
      `set 1000 -> 50 RW US
       set 2000 -> 51 RW US
       read 1000 = 50
       set 0 -> 800 2M RW US   # a change of size without clearing and invalidating first
       invlpg 3000              # the PDE cache would still lead to the L1 table
       read 2000 = 802
       read 1000 = 50
       tlb = 0->800 2M RW US | 1000->50 RW US
       invlpg 1000
       tlb =
       read 1000 = 801`,
    );
  });
});

describe('--tlb coherent', () => {
  test('a load of CR3 drops global entries too: another root may map their pages otherwise', () => {
    tell('--tlb coherent', `${PAGES}\ntlb = ${ALL}\ncr3 other\ntlb =`);
  });

  test('a store drops what it changes and no more; there are no PSCs', () => {
    tell(
      '--tlb coherent',
      `${PAGES}\npsc =\nset 2000 -> 51 RW US\ntlb = ${[A, LARGE, GLOBAL, LARGE_GLOBAL].join(' | ')}`,
    );
    tell('--tlb coherent', `${PAGES}\nset L2 1000 -> US\ntlb =\nwrite 1000 = #PF 7`);
  });
});

describe('invalidate events', () => {
  test.each([
    ['invlpg 1fff', { kind: 'page', page: 1 }, 'invlpg 1fff'],
    ['cr3', { kind: 'non-global' }, 'cr3'],
    ['flush', { kind: 'all' }, 'flush'],
    ['read 3000 = #PF 4', { kind: 'page-fault', page: 3 }, '#PF'],
  ])('%s', (line, scope, what) => {
    const world = new World('').tell(PAGES);
    const events: MmuEvent[] = [];
    world.events.subscribe((event) => events.push(event));
    const at = world.now;
    world.tell(line);
    expect(events.filter(({ kind }) => kind === 'invalidate')).toEqual([
      { kind: 'invalidate', vcpu: 0, at, scope, root: world.roots[0], why: { what } },
    ]);
  });
});
