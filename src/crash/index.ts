// paravane/crash: crash texts of Xen and Linux as values, and what they mean. Text in, values out: no files, no clock, no
// machine; runs in Node and in browsers.
//
//   import { explain, renderText } from 'paravane/crash';
//   for (const crash of explain(log).crashes) console.log(renderText(crash));

export type { CrashReport } from '../abi/crash-report.js';
export type { ExplainOptions, ReportOptions } from './explain.js';
export { explain, explainAll, explainReport } from './explain.js';
export type {
  AccessFacts,
  Cause,
  CodeFacts,
  CrashFacts,
  ErrorCodeFacts,
  Explanation,
  MachineFacts,
  ModeFacts,
  PfnCheck,
  Reading,
  RegisterNote,
  Verdict,
  WalkFacts,
  WalkLevelFacts,
} from './explanation.js';
export type { CrashKind, CrashSystem, Facts, StatedCode, StatedEntry, TraceLine } from './facts.js';
export type { EntryChange, FlushEvent, MachineEvidence, StaleLoad } from './machine-evidence.js';
export { parse, reportOf } from './parse.js';
export { asPrinted, type PrintOptions, print } from './print.js';
export { renderJson, toJsonValue } from './render/json.js';
export { renderMarkdown } from './render/markdown.js';
export { plain, type RenderOptions, renderText, type Style } from './render/text.js';
export type { Certainty, Family, KnownCase } from './rules/diagnosis.js';
export { createScanner, type Evidence, type Scanner, type ScanTotals, scan } from './scanner.js';
