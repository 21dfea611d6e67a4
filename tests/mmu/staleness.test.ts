// Stale translations: what each policy, CPU and refill makes of a change without a flush. Each case is one story.

import { describe, test } from 'vitest';
import { tell } from './story.js';

const STALE_KEEPERS = ['demand', 'hoarding'];

describe.each(STALE_KEEPERS)('--tlb %s: changes of a leaf without a flush', (tlb) => {
  test.each([
    // what                  before                     change                        the old answer      the new one
    ['frame', 'set 1000 -> 50 RW US', 'set 1000 -> 51 RW US', 'read 1000 = 50', 'read 1000 = 51'],
    ['taken away', 'set 1000 -> 50 RW US', 'set 1000 -> none', 'read 1000 = 50', 'read 1000 = #PF 4'],
    ['RW taken', 'set 1000 -> 50 RW US D', 'set 1000 -> 50 US', 'write 1000 = 50', 'write 1000 = #PF 7'],
    ['US taken', 'set 1000 -> 50 RW US', 'set 1000 -> 50 RW', 'read 1000 = 50', 'read 1000 = #PF 5'],
    ['XD given', 'set 1000 -> 50 RW US', 'set 1000 -> 50 RW US XD', 'fetch 1000 = 50', 'fetch 1000 = #PF 15'],
    ['large page gone', 'set 0 -> 400 2M RW US', 'set L2 0 -> none', 'read 1000 = 401', 'read 1000 = #PF 4'],
  ])('%s: the old answer is used, until INVLPG', (_name, before, change, stale, fresh) => {
    tell(`--tlb ${tlb}`, `${before}\nread 1000\n${change}\n${stale}\ninvlpg 1000\n${fresh}`);
    tell('--tlb coherent', `${before}\nread 1000\n${change}\n${fresh}`);
  });

  test.each([
    ['RW given', 'set 1000 -> 50 US', 'set 1000 -> 50 RW US', 'write 1000', '#PF 7'],
    ['US given', 'set 1000 -> 50 RW', 'set 1000 -> 50 RW US', 'read 1000', '#PF 5'],
    ['XD taken', 'set 1000 -> 50 RW US XD', 'set 1000 -> 50 RW US', 'fetch 1000', '#PF 15'],
    ['RW given in an L2e', 'set 1000 -> 50 RW US\nset L2 1000 -> US', 'set L2 1000 -> RW US', 'write 1000', '#PF 7'],
    ['RW given in an L4e', 'set 1000 -> 50 RW US\nset L4 1000 -> US', 'set L4 1000 -> RW US', 'write 1000', '#PF 7'],
  ])('%s: intel faults once, amd walks again', (_name, before, change, use, fault) => {
    const story = `${before}\nxen read 1000\n${change}\n`;
    tell(`--tlb ${tlb} --cpu intel`, `${story}${use} = ${fault}\n${use} = 50`);
    tell(`--tlb ${tlb} --cpu amd`, `${story}${use} = 50`);
    tell('--tlb coherent --cpu intel', `${story}${use} = 50`);
  });

  test.each(['intel', 'amd'])('absent pages are not remembered, so a page that comes needs no flush (%s)', (cpu) => {
    tell(`--tlb ${tlb} --cpu ${cpu}`, 'set 1000 -> none\nread 1000 = #PF 4\nset 1000 -> 50 US\nread 1000 = 50');
  });

  test('D was cleared in memory: the entry still has it, so the write goes unrecorded', () => {
    tell(
      `--tlb ${tlb}`,
      `set 1000 -> 50 RW US
       write 1000
       set 1000 -> 50 RW US
       write 1000 = 50
       leaf 1000 = 50 RW US
       invlpg 1000
       write 1000 = 50
       leaf 1000 = 50 RW US A D`,
    );
  });

  test('a write by way of a clean entry goes to memory for D, and so meets the change', () => {
    tell(
      `--tlb ${tlb}`,
      `set 1000 -> 50 RW US
       read 1000
       set 1000 -> 51 RW US
       read 1000 = 50
       write 1000 = 51
       leaf 1000 = 51 RW US A D
       tlb = 1000->51 RW US D`,
    );
    tell(`--tlb ${tlb}`, 'set 1000 -> 50 RW US\nread 1000\nset 1000 -> none\nread 1000 = 50\nwrite 1000 = #PF 6');
  });

  test('a global entry outlives CR3', () => {
    tell(
      `--tlb ${tlb}`,
      'set 1000 -> 50 RW US G\nread 1000\nset 1000 -> 51 RW US G\ncr3\nread 1000 = 50\nflush\nread 1000 = 51',
    );
  });

  test('a stale entry answers another vCPU never', () => {
    tell(
      `--tlb ${tlb}`,
      'set 1000 -> 50 RW US\nread 1000\nset 1000 -> 51 RW US\nvcpu 1\nread 1000 = 51\nvcpu 0\nread 1000 = 50',
    );
  });
});

describe.each(STALE_KEEPERS)('--tlb %s: paging-structure caches', (tlb) => {
  test('an L1 table that was replaced is still walked, until any INVLPG', () => {
    tell(
      `--tlb ${tlb}`,
      `set 1000 -> 50 RW US
       set 2000 -> 51 RW US
       set 201000 -> 60 RW US
       set 202000 -> 61 RW US
       read 1000 = 50
       set L2 1000 -> table of 201000
       read 2000 = 51            # never loaded before, from the old table
       invlpg 7000               # of whatever page: all PSC entries go
       read 2000 = 51            # but the TLB entry made from the old table does not
       invlpg 2000
       read 2000 = 61
       read 1000 = 50`,
    );
  });

  test('a #PF drops the way of its own address only', () => {
    tell(
      `--tlb ${tlb}`,
      `set 1000 -> 50 RW US
       set 201000 -> 60 RW US
       set 401000 -> 70 RW US
       set 402000 -> 71 RW US
       read 1000
       read 201000
       set L2 1000 -> none
       set L2 201000 -> table of 401000
       read 3000 = #PF 4         # walks the old table, which has nothing there; this drops the stale way
       read 2000 = #PF 4
       read 202000 = #PF 4       # the other stale way is still there
       read 202000 = 71`,
    );
  });

  test('no entry for a page of any size gets into them', () => {
    tell(`--tlb ${tlb}`, 'set 0 -> 400 2M RW US\nread 0\npsc = L3 0 RW US | L4 0 RW US');
    tell(`--tlb ${tlb}`, 'set 40000000 -> 40000 1G US\nread 40000000\npsc = L4 0 RW US');
  });

  test('an entry may be there with nothing below it', () => {
    tell(`--tlb ${tlb}`, 'set 1000 -> none\nspec read 1000 = no\ntlb =\npsc = L2 0 RW US | L3 0 RW US | L4 0 RW US');
  });

  test('rights of the levels above are kept with the entry', () => {
    tell(
      `--tlb ${tlb} --cpu intel`,
      `set 1000 -> 50 RW US
       set 2000 -> 51 RW US
       set L4 1000 -> US XD
       read 1000
       psc = L2 0 US XD | L3 0 US XD | L4 0 US XD
       set L4 1000 -> RW US
       write 2000 = #PF 7
       write 2000 = 51`,
    );
  });
});

describe('--tlb demand is finite', () => {
  // Pages 512 KiB apart fall into one set of 128: the thirteenth drives out the first.
  const oneSet = (count: number, verb: string): string =>
    Array.from({ length: count }, (_, i) => `${verb} ${(i * 0x80000 + 0x1000).toString(16)}`).join('\n');
  const map = oneSet(13, 'set').replaceAll(/set (\w+)/g, 'set $1 -> 5$1 RW US');

  test('twelve pages of a set stay', () => {
    tell('--tlb demand', `${map}\n${oneSet(12, 'read')}\nset 1000 -> 99 RW US\nread 1000 = 51000`);
  });

  test('the thirteenth drives out the one that came first, however often it was used', () => {
    tell(
      '--tlb demand',
      `${map}
       ${oneSet(12, 'read')}
       ${oneSet(1, 'read')}
       ${oneSet(13, 'read')}
       set 1000 -> 99 RW US
       read 1000 = 99`,
    );
    tell('--tlb hoarding', `${map}\n${oneSet(13, 'read')}\nset 1000 -> 99 RW US\nread 1000 = 51000`);
  });

  test('entries that a load of CR3 dropped take no room', () => {
    const withGlobal = map.replace('51000 RW US', '51000 RW US G');
    tell(
      '--tlb demand',
      `${withGlobal}\n${oneSet(12, 'read')}\ncr3\nread 601000\nset 1000 -> 99 RW US\nread 1000 = 51000`,
    );
    tell(
      '--tlb demand',
      `${map}\n${oneSet(13, 'read')}\ncr3\n${oneSet(12, 'read')}\nset 1000 -> 99 RW US\nread 1000 = 51000`,
    );
  });
});

describe('--cpu amd walks again from CR3', () => {
  test('past a stale paging-structure entry that would lead nowhere', () => {
    const story = `
      set 1000 -> 50 US
      set 201000 -> 60 RW US
      read 1000
      set 1000 -> none                  # in the old table, which the PDE cache still leads to
      set L2 1000 -> table of 201000
    `;
    tell('--tlb hoarding --cpu amd', `${story}write 1000 = 60`);
    tell('--tlb hoarding --cpu intel', `${story}write 1000 = #PF 7\nwrite 1000 = 60`);
  });

  test('past stale rights in a paging-structure entry', () => {
    const story = `
      set 1000 -> 50 RW US
      set 2000 -> 51 RW US
      set L2 1000 -> US
      read 1000
      set L2 1000 -> RW US
    `;
    tell('--tlb hoarding --cpu amd', `${story}write 2000 = 51`);
    tell('--tlb hoarding --cpu intel', `${story}write 2000 = #PF 7\nwrite 2000 = 51`);
  });
});

describe('--refill wrong-path', () => {
  const story = (flush: string): string => `
    set 1000 -> 50 US
    spec write 1000 = no       # the clearing loop overshoots into the next page
    set 1000 -> 50 RW US
    ${flush}
  `;

  test('a speculative store loads the read-only translation that a real store then meets', () => {
    tell('--tlb demand --cpu intel', `${story('')}write 1000 = #PF 7\nwrite 1000 = 50`);
    tell('--tlb demand --cpu amd', `${story('')}write 1000 = 50`);
    tell('--tlb demand --cpu intel', `${story('invlpg 1000')}write 1000 = 50`);
    tell('--tlb coherent --cpu intel', `${story('')}write 1000 = 50`);
  });
});

describe('--refill any', () => {
  test.each(STALE_KEEPERS)('loads between a flush and the store: --tlb %s', (tlb) => {
    const story = 'set 1000 -> 50 US\nflush\nset 1000 -> 50 RW US\nwrite 1000 =';
    tell(`--tlb ${tlb} --refill any`, `${story} #PF 7`);
    tell(`--tlb ${tlb} --refill none`, `${story} 50`);
    tell(`--tlb ${tlb} --refill any --cpu amd`, `${story} 50`);
    tell('--tlb coherent --refill any', `${story} 50`);
  });

  test('a flush after the store cures it', () => {
    tell('--tlb hoarding --refill any', 'set 1000 -> 50 US\nset 1000 -> 50 RW US\ninvlpg 1000\nwrite 1000 = 50');
  });

  test('on every vCPU whose root leads there', () => {
    tell(
      '--tlb hoarding --refill any',
      `set 1000 -> 50 RW US
       set ffff800000001000 -> 60 RW US
       vcpu 1
       cr3 other                 # maps 1000, and not the high half
       flush
       vcpu 0
       flush
       set 1000 -> none
       set ffff800000001000 -> none
       read 1000 = 50
       read ffff800000001000 = 60
       vcpu 1
       read 1000 = 50
       read ffff800000001000 = #PF 4`,
    );
  });

  test('before a store to an upper entry: all pages below it, and the entry itself', () => {
    tell(
      '--tlb hoarding --refill any',
      `set 1000 -> 50 RW US
       set 1ff000 -> 51 RW US
       flush
       set L3 1000 -> none
       tlb = 1000->50 RW US | 1ff000->51 RW US
       psc = L2 0 RW US | L3 0 RW US | L4 0 RW US
       read 2000 = #PF 4
       read 1ff000 = 51`,
    );
  });

  test('an entry with nothing below it is loaded too, and leads to what its table holds later', () => {
    tell(
      '--tlb hoarding --refill any',
      `set 1000 -> none
       set 201000 -> 60 RW US
       flush
       set L2 1000 -> table of 201000
       read 2000 = #PF 4
       read 1000 = 60`,
    );
  });

  test('what a stale paging-structure entry leads to is loaded before an INVLPG drops it', () => {
    for (const [refill, answer] of [
      ['any', '77'],
      ['none', '#PF 4'],
    ]) {
      const world = tell(
        `--tlb hoarding --refill ${refill}`,
        'set 1000 -> 50 RW US\nset 201000 -> 60 RW US\nread 1000',
      );
      const inOldTable = world.entryOf(0x3000n, 1);
      world.tell('set L2 1000 -> table of 201000');
      world.memory.write64(inOldTable, 0x77007n); // the frame is ordinary memory now, and is written as such
      world.tell(`invlpg 9000\nread 3000 = ${answer}`);
    }
  });

  test('a table that only a stale paging-structure entry leads to is watched like others', () => {
    const world = tell('--tlb hoarding --refill any', 'set 1000 -> 50 RW US\nset 201000 -> 60 RW US\nread 1000');
    const inOldTable = world.entryOf(0x3000n, 1);
    world.tell('set L2 1000 -> table of 201000');
    world.memory.write64(inOldTable, 0x77007n);
    world.tables.storeEntry(inOldTable, 0n, { what: 'it is a table again, elsewhere' });
    world.tell('invlpg 9000\nread 3000 = 77');
  });

  test('one table in two places, an entry under two addresses', () => {
    tell(
      '--tlb hoarding --refill any',
      `set 1000 -> 50 RW US
       set 201000 -> 60 RW US
       set L2 201000 -> table of 1000
       flush
       set 1000 -> none
       read 1000 = 50
       read 201000 = 50`,
    );
  });

  test('what is held already stays as it is', () => {
    tell(
      '--tlb hoarding --refill any',
      'set 1000 -> 50 RW US\nread 1000\nset 1000 -> 51 RW US\nset 1000 -> 52 RW US\nread 1000 = 50',
    );
  });

  test('only what may be cached: nothing absent, nothing with reserved bits', () => {
    tell(
      '--tlb hoarding --refill any',
      `set 0 -> 401 2M US        # PAT
       set 200000 -> 402 2M US   # a reserved bit
       flush
       set 0 -> 400 2M US
       set 200000 -> 400 2M US
       tlb = 0->400 2M US`,
    );
  });
});
