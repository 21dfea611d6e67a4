// `paravane explain`: a log from a file or standard input, read as a stream, and what crashed in it. The work is crash's; here
// are bytes, encodings, symbols and the exit status.

import { createReadStream, type Stats, statSync } from 'node:fs';
import { TextDecoder } from 'node:util';
import { createGunzip } from 'node:zlib';
import { InputError } from '../../base/failures.js';
import {
  createScanner,
  type Evidence,
  type Explanation,
  explainAll,
  renderJson,
  renderMarkdown,
  renderText,
  type ScanTotals,
} from '../../crash/index.js';
import { type Names, readSymbols } from './symbol-files.js';
import { heading, type Io, styleFor, widthOf } from './terminal.js';

export interface ExplainCommandOptions {
  readonly json?: boolean;
  readonly markdown?: boolean;
  /** Columns; the terminal's unless given. */
  readonly width?: number;
  /** System.map, kallsyms or ELF files that name addresses. */
  readonly symbols?: readonly string[];
}

/** Exit status. */
const EXPLAINED = 0;
const NOTHING_FOUND = 4;

/** More crashes than this in one log are counted, not explained: somebody would have to read them. */
const MOST_CRASHES = 50;

interface Found {
  readonly crashes: readonly Explanation[];
  readonly beyond: number;
  readonly totals: ScanTotals;
  readonly bytes: number;
}

/** Explains each file ('-' and none: standard input). Throws InputError for what cannot be read. */
export async function explainCommand(
  files: readonly string[],
  options: ExplainCommandOptions,
  io: Io,
): Promise<number> {
  const names = readSymbols(options.symbols ?? []);
  let status = NOTHING_FOUND;
  for (const file of files.length === 0 ? ['-'] : files) {
    const name = file === '-' ? 'standard input' : file;
    const found = await readLog(file === '-' ? io.stdin : openLog(file), name, names);
    if (found.crashes.length > 0) status = EXPLAINED;
    if (options.json) io.stdout.write(renderJson({ file: name, ...jsonOf(found) }));
    else if (found.crashes.length === 0) io.stderr.write(`paravane: ${nothingFound(name, found)}\n`);
    else if (options.markdown) io.stdout.write(found.crashes.map((crash) => renderMarkdown(crash)).join('\n'));
    else writeText(found, options, io);
    if (found.beyond > 0 && !options.json)
      io.stderr.write(`paravane: ${name}: ${found.beyond} more crashes in this log were not explained\n`);
  }
  return status;
}

const jsonOf = ({ crashes, totals, beyond }: Found) => ({ crashes, ...totals, notExplained: beyond });

function nothingFound(name: string, { totals, bytes }: Found): string {
  if (bytes === 0) return `${name} is empty`;
  return `${name}: no crash found in ${totals.lines} line${totals.lines === 1 ? '' : 's'}`;
}

function writeText({ crashes }: Found, options: ExplainCommandOptions, io: Io): void {
  const width = options.width ?? widthOf(io.stdout);
  const style = styleFor(io.stdout);
  for (const [index, crash] of crashes.entries()) {
    if (crashes.length > 1)
      io.stdout.write(`${index > 0 ? '\n' : ''}${heading(`Crash ${index + 1} of ${crashes.length}`, width, style)}\n`);
    io.stdout.write(renderText(crash, { width, style }));
  }
}

async function readLog(source: AsyncIterable<unknown>, name: string, names: Names | undefined): Promise<Found> {
  const evidence: Evidence[] = [];
  let beyond = 0;
  const scanner = createScanner((crash) => {
    if (evidence.length < MOST_CRASHES) evidence.push(crash);
    else if (crash.whole) beyond++;
  });
  let decoder: TextDecoder | undefined;
  let bytes = 0;
  try {
    for await (const piece of unpacked(source, name)) {
      decoder ??= decoderFor(piece, name);
      bytes += piece.length;
      scanner.push(decoder.decode(piece, { stream: true }));
    }
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`${name}: cannot be read: ${(error as Error).message}`);
  }
  if (decoder !== undefined) scanner.push(decoder.decode());
  const totals = scanner.end();
  evidence.sort((a, b) => a.firstLine - b.firstLine);
  return { crashes: explainAll(evidence, { ...names }), beyond, totals, bytes };
}

function openLog(file: string): AsyncIterable<unknown> {
  let found: Stats | undefined;
  try {
    found = statSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new InputError(code === 'ENOENT' ? `${file}: there is no such file` : `${file}: cannot be read (${code})`);
  }
  if (found.isDirectory()) throw new InputError(`${file} is a directory, not a log`);
  return createReadStream(file, { highWaterMark: 1 << 18 });
}

const GZIP = [0x1f, 0x8b];
/** Compressed logs that are recognised only to say how to go on. */
const PACKED: readonly { readonly magic: readonly number[]; readonly how: string }[] = [
  { magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a], how: 'xz-compressed: use xzcat FILE | paravane explain' },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], how: 'zstd-compressed: use zstdcat FILE | paravane explain' },
  { magic: [0x42, 0x5a, 0x68], how: 'bzip2-compressed: use bzcat FILE | paravane explain' },
  { magic: [0x7f, 0x45, 0x4c, 0x46], how: 'an ELF file: a program or a core dump, not a log' },
];

const beginsWith = (bytes: Uint8Array, magic: readonly number[]): boolean =>
  magic.every((byte, index) => bytes[index] === byte);

/** The bytes of the log, gunzipped where it is a gzip file. */
async function* unpacked(source: AsyncIterable<unknown>, name: string): AsyncGenerator<Uint8Array> {
  const pieces = byteChunks(source);
  const first = await pieces.next();
  if (first.done) return;
  const packed = PACKED.find(({ magic }) => beginsWith(first.value, magic));
  if (packed !== undefined) throw new InputError(`${name} is ${packed.how}`);
  if (!beginsWith(first.value, GZIP)) {
    yield first.value;
    yield* pieces;
    return;
  }
  const gunzip = createGunzip();
  const feed = async (): Promise<void> => {
    gunzip.write(first.value);
    for await (const piece of pieces) if (!gunzip.write(piece)) await new Promise((go) => gunzip.once('drain', go));
    gunzip.end();
  };
  feed().catch((error) => gunzip.destroy(error as Error));
  yield* byteChunks(gunzip);
}

async function* byteChunks(source: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : (piece as Uint8Array);
    if (bytes.length > 0) yield bytes;
  }
}

const SAMPLE_BYTES = 1 << 16;

/** UTF-8; UTF-16 where a byte-order mark says so; Windows-1252 where it is neither. Binary data is no log. */
function decoderFor(first: Uint8Array, name: string): TextDecoder {
  if (beginsWith(first, [0xff, 0xfe])) return new TextDecoder('utf-16le');
  if (beginsWith(first, [0xfe, 0xff])) return new TextDecoder('utf-16be');
  const sample = first.subarray(0, SAMPLE_BYTES);
  const strange = sample.reduce((sum, byte) => sum + (isStrange(byte) ? 1 : 0), 0);
  if (strange * 20 > sample.length)
    throw new InputError(`${name} is not text: ${strange} of its first ${sample.length} bytes are binary`);
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(sample, { stream: true });
    return new TextDecoder('utf-8');
  } catch {
    return new TextDecoder('windows-1252');
  }
}

/** Bytes that no log has: control characters but tab, line ends, form feed, escape. Serial lines drop in a NUL now and then. */
const isStrange = (byte: number): boolean => byte < 32 && ![9, 10, 11, 12, 13, 27].includes(byte);
