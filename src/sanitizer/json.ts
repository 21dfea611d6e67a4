// Findings for programs: plain JSON, and SARIF 2.1.0 for CI systems (OASIS, "Static Analysis Results Interchange Format", §3).
// Words of 64 bits are hexadecimal strings, instruction counts are numbers.

import { vpnToVaddr } from '../base/addresses.js';
import { hex, hex64 } from '../base/hex.js';
import { type Answer, type Finding, KINDS, needsAction, type Place } from './finding.js';
import { kindWords } from './findings.js';
import { mistakeWords, type ReportOptions } from './report.js';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** One finding, every field of the report. */
export function findingToJson(finding: Finding, { symbolOf, replay }: ReportOptions): Json {
  const address = (value: bigint): Json => ({ address: hex64(value), symbol: symbolOf(value) ?? null });
  const place = (rip: bigint, { vcpu, stack }: Place): { readonly [key: string]: Json } => ({
    vcpu,
    rip: address(rip),
    stack: stack.map(address),
  });
  const answer = ({ frame, rights, served }: Answer): Json => ({
    frame: frame === undefined ? null : hex(frame),
    rights,
    served,
  });
  const { change, use, loaded } = finding;
  return {
    title: finding.title,
    grade: finding.grade,
    needsAction: needsAction(finding.grade),
    kind: finding.kind,
    mistake: finding.mistake,
    count: finding.count,
    use: {
      ...place(use.place.rip, use.place),
      page: hex64(vpnToVaddr(use.page)),
      instruction: use.at,
      access: use.access,
      by: use.by,
    },
    taken: finding.taken ? { page: hex64(vpnToVaddr(finding.taken.page)), instruction: finding.taken.at } : null,
    stale: answer(finding.stale),
    fresh: answer(finding.fresh),
    change: {
      ...place(change.call?.site ?? change.place.rip, change.place),
      instruction: change.at,
      level: change.level,
      entry: hex(change.address),
      before: hex64(change.before),
      after: hex64(change.after),
      hypercall: change.call?.name ?? null,
      flags: change.call?.flags ?? null,
      multicallEntry: change.call?.within?.index ?? null,
    },
    loaded: loaded ? { ...place(loaded.place.rip, loaded.place), instruction: loaded.at, cause: loaded.cause } : null,
    couldLoadUntil: finding.couldLoadUntil,
    flushes: finding.flushes.map(({ vcpu, at, what, cause, why }) => ({ vcpu, instruction: at, what, cause, why })),
    cure: finding.cure,
    hiddenBy: finding.hiddenBy ?? null,
    reuse: finding.reuse ?? null,
    walk: finding.walk.steps.map(({ level, entry }) => ({ level, entry: hex64(entry) })),
    replay: replay(use.at),
  };
}

const SARIF_SCHEMA = 'https://json.schemastore.org/sarif-2.1.0.json';

/**
 * The findings of one guest as a SARIF run. A guest has no source files here: places are functions (logical locations) in
 * `artifact`, the kernel's file.
 */
export function sarifRun(findings: readonly Finding[], options: ReportOptions & { readonly artifact: string }): Json {
  const location = (rip: bigint): Json => ({
    physicalLocation: { artifactLocation: { uri: options.artifact } },
    logicalLocations: [{ fullyQualifiedName: options.symbolOf(rip) ?? hex64(rip), kind: 'function' }],
  });
  return {
    tool: {
      driver: {
        name: 'paravane',
        rules: KINDS.map((kind) => ({ id: kind, shortDescription: { text: kindWords(kind) } })),
      },
    },
    results: findings.map((finding) => ({
      ruleId: finding.kind,
      ruleIndex: KINDS.indexOf(finding.kind),
      level: needsAction(finding.grade) ? 'error' : 'note',
      message: { text: `${finding.title}. ${mistakeWords(finding.mistake)} It takes: ${finding.cure}.` },
      partialFingerprints: { 'title/v1': finding.title },
      occurrenceCount: finding.count,
      locations: [location(finding.use.place.rip)],
      relatedLocations: [location(finding.change.call?.site ?? finding.change.place.rip)],
      properties: { grade: finding.grade, mistake: finding.mistake, replay: options.replay(finding.use.at) },
    })),
  };
}

/** Runs as a SARIF file. */
export const sarifLog = (runs: readonly Json[]): Json => ({ $schema: SARIF_SCHEMA, version: '2.1.0', runs });
