// The laws that crash keeps for any text, each as a function of a seeded generator: tests/crash/laws.test.ts runs each a few
// hundred times, `npm run fuzz:crash` for as long as it is told. `api` is what paravane/crash exports.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A law that does not hold. `text` is what broke it. */
export class LawBroken extends Error {
  constructor(message, text) {
    super(message);
    this.text = text;
  }
}

const word = (chance) => (BigInt(chance.next32()) << 32n) | BigInt(chance.next32());
const pick = (chance, list) => list[chance.below(list.length)];
const times = (count, make) => Array.from({ length: count }, make);

const WITH_ERROR_CODE = [8, 10, 11, 12, 13, 14, 17];
const ENTRY_POINT = { address: 0xffff82d040204b78n, symbol: 'x86_64/entry.S#create_bounce_frame+0x14f/0x177' };
const MESSAGES = ['', 'Fault while reading IRET context from guest stack', 'mfn 1234: the guest dropped a reference'];

/** Any report that a machine could print: every vector, both forms, walks of any depth, stacks of any length. */
export function randomReport(chance) {
  const form = chance.oneIn(2) ? '4.1' : '4.17';
  const vector = chance.oneIn(3) ? 14 : chance.below(20);
  const isFromXen = chance.oneIn(6);
  const vaddr = chance.oneIn(2) ? 0xffffffff80000000n + BigInt(chance.next32() >>> 2) : word(chance);
  const calledFrom = chance.oneIn(2) ? 'entry.S' : 'traps.c:123';
  const words = times(chance.below(81), () => word(chance));
  const cause = isFromXen
    ? { kind: 'domain-crash', message: pick(chance, MESSAGES), calledFrom }
    : { kind: 'unhandled', vector, errorCode: WITH_ERROR_CODE.includes(vector) ? chance.below(32) : undefined };
  return {
    domain: chance.below(400),
    vcpu: chance.below(64),
    cpu: chance.below(256),
    cause,
    walk: !isFromXen && vector === 14 ? { vaddr, lines: randomWalk(chance, vaddr) } : undefined,
    xen: {
      form,
      version: form === '4.1' ? '4.1.3OVM' : '4.17.7',
      debug: pick(chance, ['y', 'n']),
      taint: pick(chance, ['Not tainted', 'Tainted:   C', 'Tainted: SMBC']),
      entryPoint: form === '4.17' && (!isFromXen || calledFrom === 'entry.S') ? ENTRY_POINT : undefined,
    },
    eventMask: chance.oneIn(2),
    registers: {
      rip: word(chance),
      rflags: word(chance),
      gpr: times(16, () => word(chance)),
      cr0: word(chance),
      // Xen sets the guest's cr2 when it delivers a page fault.
      cr2: !isFromXen && vector === 14 ? vaddr : word(chance),
      cr3: word(chance),
      cr4: word(chance),
      fsBase: word(chance),
      gsBase: word(chance),
      gsShadow: word(chance),
      ds: chance.below(0x10000),
      es: chance.below(0x10000),
      fs: chance.below(0x10000),
      gs: chance.below(0x10000),
      ss: chance.below(0x10000),
      cs: chance.below(0x10000),
    },
    stack: {
      words,
      stop: words.length === 0 ? pick(chance, ['fault', 'inaccessible', 'empty']) : pick(chance, ['fault', undefined]),
    },
  };
}

function randomWalk(chance, vaddr) {
  const lines = [];
  for (let level = 4; level >= 1; level--) {
    // Often an entry as kernels make them, so that walks reach their end.
    const entry = chance.oneIn(3)
      ? word(chance)
      : (BigInt(chance.next32()) << 12n) | BigInt(pick(chance, [0x67, 0x27, 0x25, 0x61, 0]));
    const isValid = !chance.oneIn(8);
    const index = Number((vaddr >> BigInt(12 + 9 * (level - 1))) & 0x1ffn);
    lines.push({ level, index, entry, pfn: isValid ? word(chance) >> 20n : undefined });
    const isLarge = (level === 2 || level === 3) && (entry & 0x80n) !== 0n;
    if ((entry & 1n) === 0n || isLarge || !isValid) break;
  }
  return lines;
}

/** A dump like the seed's: a page made writable just before, and its address in a kernel's image. */
export function seedLikeReport(chance) {
  const report = randomReport(chance);
  const leaf = (BigInt(chance.next32()) & 0xfffffffn) << 12n;
  const flags = BigInt(pick(chance, [0x67, 0x67, 0x25, 0x27, 0]));
  const page = 0xffffffff84dc7000n;
  const gpr = [...report.registers.gpr];
  [gpr[2], gpr[6], gpr[7]] = [0n, leaf | 0x63n, page];
  const entries = [0xc3f18067n, 0xc3f14067n, 0xdc8b2067n, 0x0010000000000000n | leaf | flags];
  const pfns = [0x1789n, 0x178dn, 0x4defn, 0x4dc7n];
  const indexes = [0x1ff, 0x1fe, 0x026, 0x1c7];
  return {
    ...report,
    cause: { kind: 'unhandled', vector: 14, errorCode: chance.below(20) },
    walk: { vaddr: page, lines: entries.map((entry, i) => ({ level: 4 - i, index: indexes[i], entry, pfn: pfns[i] })) },
    registers: { ...report.registers, gpr, cr2: page },
    xen: { ...report.xen, entryPoint: report.xen.form === '4.17' ? ENTRY_POINT : undefined },
  };
}

const LETTERS = 'abcdefghijklmnop 0123456789:[]()<>=+-./#XENRIPcrd';
/** A line that nobody printed. ("d1: …" is one that Xen prints about a guest.) */
function noiseLine(chance) {
  const line = times(chance.below(100), () => pick(chance, LETTERS)).join('');
  return /d\d/.test(line) ? line.replaceAll('d', '') : line;
}

const stated = (api, text) =>
  api.toJsonValue(api.scan(text).crashes.map(({ facts, formats, whole }) => ({ facts, formats, whole })));

/** Facts as path -> value, so that two can be compared one by one. */
function flatten(value, path = '', into = new Map()) {
  if (typeof value !== 'object' || value === null) into.set(path, value);
  else for (const [key, inner] of Object.entries(value)) flatten(inner, `${path}/${key}`, into);
  return into;
}

function same(law, text, one, other) {
  const [a, b] = [JSON.stringify(one), JSON.stringify(other)];
  if (a === b) return;
  const at = [...a].findIndex((letter, index) => letter !== b[index]);
  throw new LawBroken(
    `${law}: …${a.slice(Math.max(0, at - 60), at + 60)}… became …${b.slice(Math.max(0, at - 60), at + 60)}…`,
    text,
  );
}

const ORDER = ['unlikely', 'possible', 'likely', 'very likely', 'certain'];

/** Milliseconds of this process for one text; the longest that are made here take a few hundred. */
const TOO_LONG = 3000;

/** Time that others on the machine take does not count. */
function cpuMilliseconds() {
  const { user, system } = process.cpuUsage();
  return Math.round((user + system) / 1000);
}

/** Everything that can be done with a text is done, and must come to an end, with sane results. */
function survives(api, text) {
  const start = cpuMilliseconds();
  const reading = api.explain(text);
  for (const crash of reading.crashes) {
    api.renderText(crash, { width: 80 });
    api.renderMarkdown(crash);
    JSON.parse(api.renderJson(crash));
    if (crash.causes.length === 0) throw new LawBroken('a crash without a cause', text);
    if (crash.causes.some(({ score }, i) => i > 0 && score > crash.causes[i - 1].score))
      throw new LawBroken('causes out of order', text);
  }
  if (reading.noise < 0 || reading.noise > reading.lines)
    throw new LawBroken(`${reading.noise} noise lines of ${reading.lines}`, text);
  const found = api.scan(text).crashes.length > 0;
  if (found !== reading.crashes.length > 0)
    throw new LawBroken('contains a crash, but none was explained (or the reverse)', text);
  const took = cpuMilliseconds() - start;
  if (took > TOO_LONG) throw new LawBroken(`took ${took} ms for ${text.length} characters`, text);
}

let corpusTexts;
function corpus(folder) {
  corpusTexts ??= readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(?:log|txt)$/.test(name))
    .sort()
    .map((name) => readFileSync(join(folder, name), 'utf8'));
  return corpusTexts;
}

/** A real text, damaged in one of the ways in which texts get damaged. */
function damaged(chance, texts) {
  const lines = pick(chance, texts).split('\n');
  const change = chance.below(9);
  if (change === 0) return lines.filter(() => !chance.oneIn(5)).join('\n');
  if (change === 1)
    return lines.map((line) => (chance.oneIn(6) ? line.slice(0, chance.below(line.length + 1)) : line)).join('\n');
  if (change === 2) return lines.flatMap((line) => (chance.oneIn(4) ? [line, noiseLine(chance)] : [line])).join('\n');
  if (change === 3)
    return lines
      .map((line) =>
        line.replace(/[0-9a-f]/g, (digit) => (chance.oneIn(40) ? '0123456789abcdefxyz <>'[chance.below(22)] : digit)),
      )
      .join('\n');
  if (change === 4)
    return lines
      .map((line) => ({ line, at: chance.below(lines.length) }))
      .sort((a, b) => a.at - b.at)
      .map(({ line }) => line)
      .join('\n');
  if (change === 5) return interleave(chance, lines, pick(chance, texts).split('\n'));
  if (change === 6) return lines.map((line) => (chance.oneIn(3) ? line.replace(/(.{40})/, '$1\n') : line)).join('\n');
  if (change === 7) return lines.join(pick(chance, ['', ' ', '\r', '\0', '\u00a0', '\n\n']));
  return lines.map((line) => (chance.oneIn(8) ? line.repeat(1 + chance.below(60)) : line)).join('\n');
}

function interleave(chance, one, other) {
  const merged = [];
  const [a, b] = [[...one], [...other]];
  while (a.length + b.length > 0) merged.push((a.length === 0 || (b.length > 0 && chance.oneIn(2)) ? b : a).shift());
  return merged.join('\n');
}

/** Lines that make careless patterns slow: one piece of a real line, many times over. */
function hostile(chance, texts) {
  const line = pick(chance, pick(chance, texts).split('\n'));
  const from = chance.below(line.length + 1);
  const piece = line.slice(from, from + 1 + chance.below(12)) || ' ';
  const head = line.slice(0, chance.below(line.length + 1));
  return times(
    1 + chance.below(20),
    () => head + piece.repeat(1 + chance.below(3000)) + pick(chance, ['', '!', line]),
  ).join('\n');
}

/** name -> one round of the law. Throws LawBroken. `folder` holds the real texts. */
export const LAWS = {
  'parse(print(report)) is the report'(api, chance) {
    const report = randomReport(chance);
    const text = api.print(report);
    const back = api.parse(text);
    same('parse(print(report))', text, api.toJsonValue(api.asPrinted(report)), api.toJsonValue(back));
  },

  'a report explains as its text does'(api, chance) {
    const report = api.asPrinted(chance.oneIn(2) ? randomReport(chance) : seedLikeReport(chance));
    const text = api.print(report);
    const comparable = (of) => api.toJsonValue({ ...of, crash: { ...of?.crash, firstLine: 0, lastLine: 0 } });
    same('explainReport', text, comparable(api.explainReport(report)), comparable(api.explain(text).crashes[0]));
  },

  'it does not matter where a stream is cut'(api, chance, folder) {
    const text = chance.oneIn(2)
      ? api.print(randomReport(chance)).replaceAll('\n', pick(chance, ['\n', '\r\n', '\r']))
      : pick(chance, corpus(folder));
    const crashes = [];
    const scanner = api.createScanner((evidence) => crashes.push(evidence));
    for (let at = 0; at < text.length; ) {
      const size = 1 + chance.below(pick(chance, [3, 50, 1000]));
      scanner.push(text.slice(at, at + size));
      at += size;
    }
    const totals = scanner.end();
    crashes.sort((a, b) => a.firstLine - b.firstLine);
    same('chunks', text, api.toJsonValue(api.scan(text)), api.toJsonValue({ crashes, totals }));
  },

  'noise changes nothing but the noise count'(api, chance) {
    const text = api.print(chance.oneIn(2) ? randomReport(chance) : seedLikeReport(chance));
    let added = 0;
    const lines = text.split('\n').slice(0, -1);
    const noisy = lines
      .flatMap((line) => {
        if (!chance.oneIn(2)) return [line];
        added++;
        return [noiseLine(chance), line];
      })
      .join('\n');
    same('noise', noisy, stated(api, text), stated(api, noisy));
    const { noise } = api.scan(noisy).totals;
    if (noise !== added) throw new LawBroken(`${added} noise lines were added, ${noise} counted`, noisy);
  },

  'lost lines lower certainty and invent no fact'(api, chance) {
    const text = api.print(chance.oneIn(2) ? randomReport(chance) : seedLikeReport(chance));
    const kept = text
      .split('\n')
      .slice(0, -1)
      .filter(() => !chance.oneIn(6))
      .join('\n');
    const [whole] = api.scan(text).crashes;
    const { crashes } = api.scan(kept);
    if (crashes.length > 1) throw new LawBroken('one crash became several', kept);
    if (crashes.length === 0) return;
    const known = flatten(api.toJsonValue(whole.facts));
    for (const [path, value] of flatten(api.toJsonValue(crashes[0].facts))) {
      // A kind is the most that a text supports; of a stack that lost a line only what is left is known.
      if (path === '/kind' || path.startsWith('/stack/') || path === '/stackStop') continue;
      if (known.get(path) !== value) throw new LawBroken(`${path} is ${value}, and was ${known.get(path)}`, kept);
    }
    const [before, after] = [api.explain(text).crashes[0], api.explain(kept).crashes[0]];
    const rank = ({ verdict }) => ORDER.indexOf(verdict.certainty);
    if (rank(after) > Math.max(rank(before), 1))
      throw new LawBroken(
        `${before.verdict.id} was ${before.verdict.certainty}, ${after.verdict.id} is ${after.verdict.certainty}`,
        kept,
      );
  },

  'a damaged text is survived'(api, chance, folder) {
    survives(api, damaged(chance, corpus(folder)));
  },

  'a hostile text takes no longer than its length'(api, chance, folder) {
    survives(api, hostile(chance, corpus(folder)));
  },

  'no text at all is survived'(api, chance) {
    survives(
      api,
      times(chance.below(4000), () => String.fromCharCode(chance.below(pick(chance, [128, 256, 65536])))).join(''),
    );
  },
};
