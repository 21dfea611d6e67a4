// The sixteen conditions that Jcc, SETcc and CMOVcc test, in the order of the opcode's low four bits.
// Source: SDM 1 "EFLAGS Condition Codes" (Appendix B). Of its several names for one, the first of ours is the usual one.

export const CONDITIONS = [
  'O',
  'NO',
  'B',
  'AE',
  'E',
  'NE',
  'BE',
  'A',
  'S',
  'NS',
  'P',
  'NP',
  'L',
  'GE',
  'LE',
  'G',
] as const;

/** Other names of the same conditions, for those who write assembly. */
export const CONDITION_SYNONYMS: Readonly<Record<string, (typeof CONDITIONS)[number]>> = {
  C: 'B',
  NAE: 'B',
  NB: 'AE',
  NC: 'AE',
  Z: 'E',
  NZ: 'NE',
  NA: 'BE',
  NBE: 'A',
  PE: 'P',
  PO: 'NP',
  NGE: 'L',
  NL: 'GE',
  NG: 'LE',
  NLE: 'G',
};

/** One thing for each condition, in order. `digit` is the condition as the opcode's last hexadecimal digit. */
export const forEachCondition = <Thing>(make: (name: string, condition: number, digit: string) => Thing): Thing[] =>
  CONDITIONS.map((name, condition) => make(name, condition, condition.toString(16).toUpperCase()));
