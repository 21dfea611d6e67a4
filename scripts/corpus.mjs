// `npm run corpus`: reads every crash text under tests/crash/corpus and prints what came out right and what wrong, field by
// field. tests/crash/corpus.test.ts runs the same comparison and holds the score.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const CORPUS = join(root, 'tests/crash/corpus');

/** The corpus's words for a system -> explain's. */
const SYSTEMS = { 'xen-pv-guest': 'xen-guest', 'xen-hvm-guest': 'xen-guest', 'xen-hypervisor': 'xen', linux: 'linux' };

/** Kinds that the corpus tells apart and explain words otherwise; all others are spelled alike. */
const KINDS = {
  'null-dereference': ['page-fault', 'general-protection'],
  'unsupported-32-bit': ['32-bit'],
  'divide-error': ['exception'],
};

/** Causes that are one thing under two names: a paging-structure cache is part of what everybody calls the TLB. */
const CAUSES = { 'stale-tlb-entry': ['stale-tlb-entry', 'stale-paging-structure'] };

/** Intel's syntax as different disassemblers write it, brought to one form. */
function plainInstruction(text) {
  return text
    .toLowerCase()
    .replace(/\b(?:byte|word|dword|qword|xmmword) (?:ptr )?/g, '')
    .replace(/\*1\b/g, '')
    .replace(/\s*[;#].*$/, '')
    .replace(/\+0x0\b/g, '')
    .replace(/0x([0-9a-f]+)/g, (_, digits) => `0x${BigInt.asUintN(64, BigInt(`0x${digits}`)).toString(16)}`)
    .replace(/\+0x([0-9a-f]{8,16})\b/g, (whole, digits) => {
      const value = BigInt.asIntN(digits.length > 8 ? 64 : 32, BigInt(`0x${digits}`));
      return value < 0n ? `-0x${(-value).toString(16)}` : whole;
    })
    .replace(/\bds:|\bss:|\bes:/g, '')
    .replace(/\s+/g, ' ')
    .trim();
}

const number = (text) => (text === null || text === undefined ? undefined : BigInt(text));

/** The fields that an entry of the corpus expects, each with what `explain` gave and whether it is right. */
export function compare(expected, reading) {
  const { crashes } = reading;
  const first = crashes[0];
  const fields = [];
  const field = (name, wanted, got, right) => fields.push({ name, wanted, got, right });
  field('crashes', expected.crashes, crashes.length, crashes.length === expected.crashes);
  if (first === undefined)
    return [...fields, { name: 'verdict', wanted: expected.firstCause, got: undefined, right: false }];
  const { crash, access, errorCode, verdict } = first;
  field(
    'system',
    SYSTEMS[expected.system] ?? expected.system,
    crash.system,
    crash.system === (SYSTEMS[expected.system] ?? expected.system),
  );
  field('kind', expected.kind, crash.kind, [expected.kind, ...(KINDS[expected.kind] ?? [])].includes(crash.kind));
  if (expected.version && expected.version !== 'unknown')
    field('version', expected.version, crash.version, crash.version === expected.version);
  if (expected.vector !== null && expected.vector !== undefined)
    field('vector', expected.vector, crash.vector, crash.vector === expected.vector);
  if (expected.address) {
    const got = access?.address;
    field('address', number(expected.address), got, got === number(expected.address));
  }
  if (expected.errorCode !== null && expected.errorCode !== undefined) {
    // Where a vector has no error code the text prints 0, or all ones; explain leaves it out.
    const got = errorCode?.value;
    field(
      'errorCode',
      expected.errorCode,
      got,
      got === expected.errorCode || (got === undefined && [0, 0xffffffff].includes(expected.errorCode)),
    );
  }
  if (expected.rip) field('rip', number(expected.rip), crash.rip, crash.rip === number(expected.rip));
  if (expected.symbol) field('symbol', expected.symbol, crash.symbol, crash.symbol === expected.symbol);
  if (expected.instruction) {
    const wanted = plainInstruction(expected.instruction);
    const got = access?.instruction && plainInstruction(access.instruction);
    field('instruction', wanted, got, got === wanted);
  }
  if (expected.firstCause) {
    const right = [expected.firstCause, ...(CAUSES[expected.firstCause] ?? [])].includes(verdict.id);
    field('cause', expected.firstCause, `${verdict.id} (${verdict.certainty})`, right);
  }
  return fields;
}

/** Every entry of the corpus with its comparison. `explain` is the function of paravane/crash. */
export function checkCorpus(explain, folder = CORPUS) {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => {
      const expected = JSON.parse(readFileSync(join(folder, name), 'utf8'));
      const text = readFileSync(join(folder, name.replace(/json$/, 'log')), 'utf8');
      return { name: name.replace(/\.json$/, ''), expected, fields: compare(expected, explain(text)) };
    });
}

const show = (value) => (typeof value === 'bigint' ? `0x${value.toString(16)}` : String(value));

async function main() {
  const { explain } = await import(process.argv[2] ?? pathToFileURL(join(root, 'dist/crash/index.js')).href);
  const entries = checkCorpus(explain);
  const counts = new Map();
  const wrong = [];
  for (const { name, fields } of entries)
    for (const { name: field, wanted, got, right } of fields) {
      const [good, all] = counts.get(field) ?? [0, 0];
      counts.set(field, [good + (right ? 1 : 0), all + 1]);
      if (!right) wrong.push(`  ${name}: ${field} is ${show(got)}, expected ${show(wanted)}`);
    }
  const xen = entries.filter(({ expected }) => expected.system.startsWith('xen')).length;
  const tlb = entries.filter(({ expected }) => expected.tlb).length;
  const whole = entries.filter(({ fields }) => fields.every(({ right }) => right)).length;
  console.log(
    `${entries.length} crash texts: ${xen} of Xen, ${entries.length - xen} of Linux, ${tlb} whose root cause was the TLB`,
  );
  console.log(`${whole} right in every field\n`);
  for (const [field, [good, all]] of counts) console.log(`  ${field.padEnd(12)} ${String(good).padStart(3)} of ${all}`);
  if (wrong.length > 0) console.log(`\nwrong:\n${wrong.join('\n')}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
