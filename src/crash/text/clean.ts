// One line of a log as somebody kept it → what the machine printed. Removes what terminals, loggers, mail programs and web
// pages put around a line: carriage returns, escape sequences, non-breaking spaces, HTML, quoted-printable, quote marks, time
// stamps, host and facility names. What remains is the printed line; who printed it is told where the prefix says so.
// Sources: Linux printk formats (Documentation/admin-guide/dynamic-debug, printk.time, printk.caller), RFC 3164 and RFC 5424
// (syslog), systemd journalctl(1) short formats, Xen console_timestamps (docs/misc/xen-command-line), RFC 2045 §6.7.

export interface CleanLine {
  /** The line without its prefixes; inner and trailing blanks kept. */
  readonly text: string;
  /** 'xen': behind "(XEN)"; 'linux': behind a printk time, "kernel:" or a guest's "(d1)"; undefined: no prefix tells. */
  readonly origin: 'xen' | 'linux' | undefined;
  /** Tells interleaved writers apart: printk's caller ("T123", "C1") or a guest ("d1"); '' where nothing does. */
  readonly writer: string;
}

/** Longer lines are cut here: no dump has one, and time and memory per line stay bounded. */
export const LONGEST_LINE = 2048;

const ESCAPE = String.fromCharCode(27);
const ESCAPES = new RegExp(`${ESCAPE}(?:\\[[0-9;?]*[ -/]*[@-~]|[()][0-9A-B]|[=>c78DEHMNOZ])`, 'g');
/** Bytes that a serial line drops in: controls, zero-width marks, replacement characters. Tab becomes a blank. */
const CONTROLS = /[\p{Cc}\u200b-\u200d\u2060\ufeff\ufffd]/gu;
/** The many blanks of web pages and word processors. */
const BLANKS = /[\t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g;
const UNUSUAL = /[^ -~]/;

const TAGS =
  /<\/?(?:a|b|blockquote|br|code|dd|div|dt|em|font|i|li|p|pre|samp|span|strong|td|tr|tt|u|ul)(?:\s[^<>]*)?\/?>/gi;
const ENTITIES: readonly (readonly [RegExp, string])[] = [
  [/&lt;/gi, '<'],
  [/&gt;/gi, '>'],
  [/&quot;/gi, '"'],
  [/&(?:apos|#39|#x27);/gi, "'"],
  [/&(?:nbsp|#160|#xa0);/gi, ' '],
  [/&amp;/gi, '&'],
];

/** What may stand before a printed line, tried at its start again and again until none fits. */
const PREFIXES: readonly { readonly pattern: RegExp; readonly origin?: 'xen' | 'linux'; readonly writer?: 1 }[] = [
  { pattern: /\s*(?:>|\|)(?=[\s>|(<[]|$)/y },
  { pattern: /\s*\(XEN\) ?/y, origin: 'xen' },
  { pattern: /\s*\((d\d{1,5})\) ?/y, origin: 'linux', writer: 1 },
  // printk: <4>, [   12.345678], [  T123], [C1], [12.345678@3]
  { pattern: /\s*<\d{1,3}>/y },
  { pattern: /\s*\[ *\d{1,8}\.\d{3,9}(?:@\d+)?\] ?/y, origin: 'linux' },
  { pattern: /\s*\[ *([TC]\d{1,7})\] ?/y, origin: 'linux', writer: 1 },
  // [Fri Mar 29 14:20:56 2013], [2013-03-29 14:20:56.123], Xen's raw [000000ab12345678]
  { pattern: /\s*\[(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d(?:[.,]\d+)? \d{4}\] ?/y },
  { pattern: /\s*\[?\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z| ?[+-]\d\d:?\d\d)?\]?:? */y },
  { pattern: /\s*\[[0-9a-f]{12,18}\] /y },
  { pattern: /\s*\[?\d\d:\d\d:\d\d(?:[.,:]\d+)?\]?:? +/y },
  // Mar 29 14:20:56 host kernel:
  {
    pattern:
      /\s*[A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d(?:[.,]\d+)? (?:\d{4} )?(?:[\w.:-]+ )??(?=kernel[:[\s]|\(XEN\)|\[|<\d)/y,
  },
  { pattern: /\s*(?:[\w.-]{1,64} )?kernel(?:\[\d+\])?: ?/y, origin: 'linux' },
  { pattern: /\s*kern *: *[a-z]+ *: ?/y, origin: 'linux' },
];

/** The printed line in `raw` (one line, without its line feed). */
export function clean(raw: string): CleanLine {
  let text = raw.length > LONGEST_LINE ? raw.slice(0, LONGEST_LINE) : raw;
  if (UNUSUAL.test(text)) text = text.replace(ESCAPES, '').replace(BLANKS, ' ').replace(CONTROLS, '');
  if (text.includes('&')) for (const [pattern, character] of ENTITIES) text = text.replace(pattern, character);
  if (text.includes('<')) text = text.replace(TAGS, '');
  if (text.includes('=')) text = text.replaceAll('=3D', '=').replace(/=20$/, ' ');

  let origin: CleanLine['origin'];
  let writer = '';
  let start = 0;
  for (let more = true; more; ) {
    more = false;
    for (const prefix of PREFIXES) {
      prefix.pattern.lastIndex = start;
      const match = prefix.pattern.exec(text);
      if (match === null || match[0] === '') continue;
      start += match[0].length;
      if (prefix.origin === 'xen' || origin === undefined) origin = prefix.origin ?? origin;
      if (prefix.writer) writer = match[1] as string;
      more = true;
      break;
    }
  }
  // A collector's own prefix that is none of the above: Xen's mark tells where the line begins.
  const mark = origin === 'xen' ? -1 : text.indexOf('(XEN)', start);
  if (mark >= 0 && mark - start <= 160) {
    origin = 'xen';
    start = mark + (text.startsWith('(XEN) ', mark) ? 6 : 5);
    return { text: text.slice(skipXenTime(text, start)), origin, writer };
  }
  return { text: text.slice(start), origin, writer };
}

const XEN_TIME = /\[(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?|[0-9a-f]{12,18}| *\d+\.\d+)\] ?/y;

function skipXenTime(text: string, start: number): number {
  XEN_TIME.lastIndex = start;
  return start + (XEN_TIME.exec(text)?.[0].length ?? 0);
}
