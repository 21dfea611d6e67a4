// The sanitizer: which translations may be stale, and every access that depends on it. Reading order: finding (what is
// said), entries and cpu (what is remembered), candidates (what a CPU may hold), judge,
// sanitizer; report, json, suppressions for those who print.

export type { Candidate } from './candidates.js';
export {
  type Answer,
  type Call,
  type Change,
  type Finding,
  type FlushCause,
  type FlushSeen,
  GRADES,
  type Grade,
  KINDS,
  type Kind,
  MISTAKES,
  type Mistake,
  needsAction,
  type Place,
  type Use,
} from './finding.js';
export { kindWords } from './findings.js';
export { findingToJson, type Json, sarifLog, sarifRun } from './json.js';
export { gradeWords, mistakeWords, type ReportOptions, renderFinding } from './report.js';
export { Sanitizer, type SanitizerOptions } from './sanitizer.js';
export { parseSuppressions, type Suppressed, type SuppressionRule, suppress } from './suppressions.js';
export type { Surroundings } from './surroundings.js';
