// The candidate set against the oracle of the mmu's laws: whatever the architecture allows to be answered, and nothing else.

import { describe, expect, test } from 'vitest';
import { type Maddr, vpn } from '../../src/base/addresses.js';
import { RIGHT_EXECUTE, RIGHT_USER, RIGHT_WRITE } from '../../src/mmu/index.js';
import { Sanitizer } from '../../src/sanitizer/index.js';
import { PAGES, Play } from '../mmu/play.js';
import type { Request } from '../mmu/saturated.js';
import { QUIET } from './surroundings.js';

const SEEDS = [1, 2, 3, 4, 5, 6];
const STEPS = 150;

function watched(options: string, seed: number): { readonly game: Play; readonly sanitizer: Sanitizer } {
  const game = new Play(options, seed, { watched: true });
  const readEntry = (address: Maddr) =>
    game.memory.isRam(Math.floor(address / 4096)) ? game.memory.read64(address) : undefined;
  const sanitizer = new Sanitizer({ ...QUIET, readEntry });
  sanitizer.addVcpu(0, game.mmu.root);
  game.events.subscribe((event) => sanitizer.heard(event));
  game.tables.watcher = sanitizer;
  return { game, sanitizer };
}

const REQUESTS: readonly Omit<Request, 'page'>[] = [
  { write: false, fetch: false, user: false },
  { write: true, fetch: false, user: false },
  { write: false, fetch: false, user: true },
  { write: true, fetch: false, user: true },
  { write: false, fetch: true, user: true },
];

/** As the oracle says it, but for the error code. */
const plain = (answers: Iterable<string>): readonly string[] =>
  [...new Set([...answers].map((answer) => answer.replace(/^#PF.*/, '#PF')))].sort();

function answers(sanitizer: Sanitizer, game: Play, request: Request): readonly string[] {
  const needed =
    (request.write ? RIGHT_WRITE : 0) | (request.fetch ? RIGHT_EXECUTE : 0) | (request.user ? RIGHT_USER : 0);
  const held = sanitizer
    .mayHold(0, vpn(request.page))
    .map(({ frame, rights }) => (frame === undefined || (rights & needed) !== needed ? '#PF' : frame.toString(16)));
  return plain([...held, game.oracle.fresh(request)]);
}

describe.each(['coherent', 'hoarding'])('--tlb %s', (tlb) => {
  test.each(SEEDS)('seed %i: at each moment, for each page and access, the legal answers and no others', (seed) => {
    const { game, sanitizer } = watched(`--tlb ${tlb} --refill none`, seed);
    for (let step = 0; step < STEPS; step++) {
      game.pass();
      if (game.oneIn(4)) game.store();
      else if (game.oneIn(6)) game.invlpg(game.page());
      else if (game.oneIn(12)) game.loadCr3();
      else if (game.oneIn(13)) game.flushAll();
      else game.access();
      for (const page of PAGES)
        for (const kind of REQUESTS) {
          const request = { ...kind, page };
          const legal = plain(game.oracle.answers(request, false));
          const said = answers(sanitizer, game, request);
          if (legal.join() !== said.join())
            expect({ step, request, said, log: game.log.slice(-12) }).toEqual({ step, request, said: legal, log: [] });
        }
    }
  });
});
